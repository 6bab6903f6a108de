"""What a method is handed, and what it does to the memory that it shares with the harness."""

from __future__ import annotations

import dataclasses
import json

import pytest
import tiny_provider
import torch
from tiny_handout import tiny_handout

from taskmark import Given, Method, WeightSpace
from taskmark.errors import DataRefusedError, TaskmarkError
from taskmark.plugins.stand_ins import Limits
from taskmark.stages import editing
from taskmark.stages.editing import Handout, build_given, edit, run_method
from taskmark.store.address import folder_of
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


def _and_puts_a_copy_in_its_place(given):
    given.task_vectors.mul_(2)
    given.task_vectors = given.task_vectors.clone()


def _by_data(given):
    given.pretrained.data = given.pretrained + 1


def _by_transposing(given):
    given.task_vectors.t_()


def test_a_method_that_writes_to_nothing_passes(given):
    expected = given.task_vectors.sum(0)
    edit, _ = run_method(_method(_nothing), given)
    assert torch.equal(edit.vector, expected)


@pytest.mark.parametrize(
    "act",
    [
        _in_place,
        _through_numpy,
        _through_a_view,
        _and_turns_its_object_to_a_copy,
        _and_puts_a_copy_in_its_place,
        _by_data,
        _by_transposing,
    ],
)
def test_a_method_that_writes_to_its_inputs_is_found_out(given, act):
    with pytest.raises(TaskmarkError, match=WRITES):
        run_method(_method(act), given)


@pytest.mark.parametrize("made", [None, torch.zeros(10)])
def test_what_is_no_edit_is_named(given, monkeypatch, made):
    method = _method(_nothing)
    monkeypatch.setattr(type(method), "edit", lambda *_: made)
    words = rf"'hostile' returned a {type(made).__name__} from edit\(\); return a taskmark.Edit"
    with pytest.raises(TaskmarkError, match=words):
        run_method(method, given)


@pytest.mark.parametrize("place", range(30))
def test_whichever_block_is_written_to_it_is_found_out(given, monkeypatch, place):
    monkeypatch.setattr(editing, "_HASHED_AT_ONCE", 28)  # bytes, of 120

    def act(given):
        given.task_vectors.view(-1)[place] += 1

    with pytest.raises(TaskmarkError, match=WRITES):
        run_method(_method(act), given)


def test_blocks_that_change_places_are_found_out(given, monkeypatch):
    monkeypatch.setattr(editing, "_HASHED_AT_ONCE", 40)  # bytes of a vector

    def act(given):
        given.task_vectors.copy_(given.task_vectors.flip(0))

    with pytest.raises(TaskmarkError, match=WRITES):
        run_method(_method(act), given)


def test_a_method_that_writes_to_the_file_below_is_found_out(given, tmp_path):
    store = Store(tmp_path)
    tensors = {"pretrained": given.pretrained, "task_vectors": given.task_vectors}
    store.put("task_vectors", "key", tensors, {})
    mapped = Given.of_weights(**store.get("task_vectors", "key").tensors, space=given.space)
    file = folder_of(tmp_path) / "task_vectors" / "key.safetensors"

    def act(_given):
        with file.open("r+b") as opened:
            opened.seek(file.stat().st_size - 8)
            opened.write(bytes(8))

    with pytest.raises(TaskmarkError, match=WRITES):
        run_method(_method(act), mapped)


LIMITS = Limits(seconds=1, provider="tiny_provider")


@pytest.fixture
def opened(monkeypatch):
    """The kinds and keys of the artifacts that are read, in order."""
    read, get = [], Store.get

    def noting(store, kind, key):
        read.append((kind, key))
        return get(store, kind, key)

    monkeypatch.setattr(Store, "get", noting)
    return read


@pytest.mark.parametrize("track", ["weights", "unlabelled", "labelled"])
def test_an_edit_reads_what_it_hands_out_once_and_nothing_of_test_data(tmp_path, opened, track):
    handout = tiny_handout(tmp_path, track=track)
    edited = edit(_method(_nothing), handout, limits=LIMITS)
    assert edited.edit.vector.any()
    assert not edited.own_word
    permitted = [("inputs", key) for key in handout.inputs.values()]
    heads = [("heads", key) for key in handout.heads.values()]
    assert sorted(opened) == sorted([("task_vectors", handout.vectors), *permitted, *heads])


def test_vectors_that_were_read_are_not_read_again(tmp_path, opened):
    handout = tiny_handout(tmp_path)
    vectors = Store(tmp_path).get("task_vectors", handout.vectors)
    opened.clear()
    given = build_given(handout, vectors=vectors)
    assert given.task_vectors.data_ptr() == vectors.tensors["task_vectors"].data_ptr()
    assert {kind for kind, _ in opened} == {"heads"}


def test_inputs_are_hashed_once_before_and_once_after(tmp_path, monkeypatch):
    hashed, own = [], editing._hash

    def noting(tensor):
        hashed.append(tensor.numel())
        return own(tensor)

    monkeypatch.setattr(editing, "_hash", noting)
    handout = tiny_handout(tmp_path)
    edit(_method(_nothing), handout, limits=LIMITS)
    size = len(build_given(handout).pretrained)
    assert hashed == [size, 2 * size, size, 2 * size]


def test_on_weights_there_is_no_model_even_for_who_promotes_its_track(tmp_path):
    handout = dataclasses.replace(tiny_handout(tmp_path), provider="nowhere")
    given = build_given(handout)
    with pytest.raises(DataRefusedError, match="The track 'weights' does not allow features"):
        given.features(given.pretrained, torch.ones(2, 48))
    given._track = "labelled"
    for ask in (given.features, given.gram_matrices):
        with pytest.raises(DataRefusedError, match="no model on the track 'weights'"):
            ask(given.pretrained, torch.ones(2, 48))


def test_the_layout_is_what_the_vectors_tell(tmp_path):
    space = WeightSpace.of(tiny_provider.Encoder())
    for track in ("weights", "unlabelled"):
        assert build_given(tiny_handout(tmp_path, track=track)).space == space


@pytest.mark.parametrize("rows", [(0,), (1,), (1, 0)])
def test_rows_are_handed_out_in_memory_of_their_own_aligned_as_they_were(tmp_path, rows):
    handout = tiny_handout(tmp_path)
    whole = build_given(handout).task_vectors
    part = build_given(dataclasses.replace(handout, rows=rows)).task_vectors
    assert torch.equal(part, whole[list(rows)])
    assert part.data_ptr() % 64 == whole[rows[0]].data_ptr() % 64
    assert part.untyped_storage().nbytes() < part.nbytes + 128


def test_a_handout_comes_back_from_json(tmp_path):
    handout = dataclasses.replace(tiny_handout(tmp_path, track="labelled"), rows=(1,))
    assert Handout.of(json.loads(json.dumps(dataclasses.asdict(handout)))) == handout
