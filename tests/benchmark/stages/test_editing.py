"""What is handed to a method shares memory with the harness: every way to write to it is found."""

from __future__ import annotations

import pytest
import torch

from taskmark import Given, Method, WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.stages import editing
from taskmark.stages.editing import apply
from taskmark.store.artifacts import Store

WRITES = "wrote to its inputs; work on a copy"


@pytest.fixture
def given():
    linear = torch.nn.Linear(4, 2)
    space = WeightSpace.of(linear)
    source = torch.Generator().manual_seed(0)
    theta0 = space.flatten(linear.state_dict()).detach()
    return Given.of_weights(theta0, torch.randn(3, space.size, generator=source), space)


def _method(act):
    class Hostile(Method):
        """Act on what it is given, then add up."""

        name = "hostile"

        def merge(self, given):
            merged = given.task_vectors.sum(0)
            act(given)
            return merged

    return Hostile()


def _nothing(given):
    given.task_vectors = given.task_vectors.clone()  # the attribute alone


def _in_place(given):
    given.task_vectors.mul_(2)


def _through_numpy(given):
    given.pretrained.numpy()[0] += 1


def _through_a_view(given):
    given.task_vectors[0].zero_()


def _and_turns_its_object_to_a_copy(given):
    copy = given.task_vectors.clone()
    given.task_vectors.zero_()
    given.task_vectors.set_(copy)


def _by_data(given):
    given.pretrained.data = given.pretrained + 1


def _by_transposing(given):
    given.task_vectors.t_()


def test_a_method_that_writes_to_nothing_passes(given):
    expected = given.task_vectors.sum(0)
    edit, _ = apply(_method(_nothing), given)
    assert torch.equal(edit.vector, expected)


@pytest.mark.parametrize(
    "act",
    [
        _in_place,
        _through_numpy,
        _through_a_view,
        _and_turns_its_object_to_a_copy,
        _by_data,
        _by_transposing,
    ],
)
def test_a_method_that_writes_to_its_inputs_is_found_out(given, act):
    with pytest.raises(TaskmarkError, match=WRITES):
        apply(_method(act), given)


@pytest.mark.parametrize("place", range(30))
def test_whichever_block_is_written_to_it_is_found_out(given, monkeypatch, place):
    monkeypatch.setattr(editing, "_HASHED_AT_ONCE", 28)  # bytes, of 120

    def act(given):
        given.task_vectors.view(-1)[place] += 1

    with pytest.raises(TaskmarkError, match=WRITES):
        apply(_method(act), given)


def test_blocks_that_change_places_are_found_out(given, monkeypatch):
    monkeypatch.setattr(editing, "_HASHED_AT_ONCE", 40)  # bytes of a vector

    def act(given):
        given.task_vectors.copy_(given.task_vectors.flip(0))

    with pytest.raises(TaskmarkError, match=WRITES):
        apply(_method(act), given)


def test_a_method_that_writes_to_the_file_below_is_found_out(given, tmp_path):
    store = Store(tmp_path)
    tensors = {"pretrained": given.pretrained, "task_vectors": given.task_vectors}
    store.put("vectors", "key", tensors, {})
    mapped = Given.of_weights(**store.get("vectors", "key").tensors, space=given.space)
    file = tmp_path / "vectors" / "key.safetensors"

    def act(_given):
        with file.open("r+b") as opened:
            opened.seek(file.stat().st_size - 8)
            opened.write(bytes(8))

    with pytest.raises(TaskmarkError, match=WRITES):
        apply(_method(act), mapped)
