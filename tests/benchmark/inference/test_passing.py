"""Choosing how images are passed."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_setting import setting_of

from taskmark.contract.head import Head
from taskmark.inference import passes as passes_module
from taskmark.inference.choosing_passes import ReadExperts, choose_passes
from taskmark.inference.items import Items
from taskmark.inference.passes import Passes
from taskmark.inference.readers import StandardReader
from taskmark.machine.costs import Spent
from taskmark.stages import expert_reference
from taskmark.store.recording import recording

USUAL = Passes(8)


@pytest.fixture
def experts(encoder, inputs, source):
    size = sum(parameter.numel() for parameter in encoder.parameters())
    head = Head(torch.randn(3, 8, generator=source), torch.zeros(3))
    vectors = {task: 0.1 * torch.randn(size, generator=source) for task in "ab"}
    seen = {"a": inputs.float(), "b": inputs.float().flip(0)}
    return ReadExperts(
        vectors,
        {
            task: Items(head, own, torch.randint(0, 3, (len(own),), generator=source))
            for task, own in seen.items()
        },
    )


@pytest.fixture
def read(encoder):
    """Makes readers, and remembers how each passes images."""
    made = []

    def start(passes):
        made.append(passes)
        setting = setting_of(copy.deepcopy(encoder).float(), batch_size=passes.batch_size)
        return StandardReader(setting)

    start.made = made
    return start


def test_on_a_cpu_it_is_the_protocols_way_and_one_reader_does_it_all(experts, read):
    chosen = choose_passes(experts, read, usual=USUAL, fast=None, memory=None)
    assert chosen.passes == USUAL
    assert read.made == [USUAL]
    again = experts.on_validation(chosen.reader)
    assert all(torch.equal(classes, chosen.on_validation[task]) for task, classes in again.items())


def test_the_largest_images_say_how_many_fit(experts, read, monkeypatch):
    passed = []
    monkeypatch.setattr(ReadExperts, "pass_some", lambda _self, _read, n: passed.append(n))
    monkeypatch.setattr(passes_module, "measure", _that_measures(80))
    chosen = choose_passes(experts, read, usual=USUAL, fast=None, memory=4 * 2 * 80)
    assert chosen.passes == Passes(16)
    assert passed == [1, 8]
    assert read.made == [USUAL, Passes(16)]


def test_so_many_images_are_passed_even_of_fewer(experts):
    class Small:
        def predict(self, vector, scales, work):
            ((task, items),) = work.items()
            images = items.inputs
            assert torch.equal(vector, experts.vectors[task])
            assert scales == [1.0]
            self.shape = tuple(images.shape)
            return {task: torch.zeros(1, len(images))}

    small = Small()
    known = experts.validation["a"]
    experts.validation["a"] = Items(known.head, torch.zeros(20, 60), known.targets)
    experts.pass_some(small, 50)
    assert small.shape == (50, 60)


class _Quick(StandardReader):
    """In which a share of the images gets another class than it had."""

    def __init__(self, setting, wrong):
        super().__init__(setting)
        self._wrong = wrong

    def predict(self, vector, scales, work):
        found = super().predict(vector, scales, work)
        lost = torch.full((len(scales), self._wrong), -1)
        return {
            task: torch.cat([lost, classes[:, self._wrong :]], 1) for task, classes in found.items()
        }


@pytest.mark.parametrize(("wrong", "dtype"), [(0, torch.bfloat16), (20, torch.float32)])
def test_a_faster_precision_is_taken_where_it_keeps_accuracies(experts, encoder, wrong, dtype):
    def read(passes):
        setting = setting_of(copy.deepcopy(encoder).float(), batch_size=passes.batch_size)
        return _Quick(setting, wrong if passes.dtype == torch.bfloat16 else 0)

    with recording("test") as account:
        chosen = choose_passes(experts, read, usual=USUAL, fast=torch.bfloat16, memory=None)
    assert chosen.passes == Passes(8, dtype)
    lost = dtype == torch.float32
    assert [note.partition(" moves ")[0] for note in account.notes] == (
        ["computed in float32, since bfloat16"] if lost else []
    )
    assert all((classes >= 0).all() for classes in chosen.on_validation.values())
    assert isinstance(chosen.reader, _Quick)
    assert chosen.reader._wrong == 0


@pytest.mark.parametrize("recipe", ["standard", "tangent"])
def test_every_record_says_how_its_images_passed(tiny_run, tmp_path, monkeypatch, recipe):
    """As on a GPU, in bfloat16 on the CPU."""
    usual = tiny_run("task_arithmetic", recipes=(recipe,))
    monkeypatch.setattr(expert_reference, "total_bytes", lambda _device: 4 * 4 * 80)
    monkeypatch.setattr(passes_module, "measure", _that_measures(80))
    monkeypatch.setattr(expert_reference, "fast_dtype", lambda _device: torch.bfloat16)
    found = tiny_run("task_arithmetic", recipes=(recipe,), store=tmp_path / "store")
    expected = {"standard": ("bfloat16", 256), "tangent": ("float32", 256)}[recipe]
    ours = [record for record in found.records if record.recipe == recipe]
    records = (*ours, *found.of("disentanglement"))
    assert {(r.provenance.dtype, r.provenance.batch_size) for r in records} == {expected}
    before = (*usual.records, *usual.of("disentanglement"))
    assert {(r.provenance.dtype, r.provenance.batch_size) for r in before} == {("float32", 64)}
    for record, other in zip(found.records, usual.records, strict=True):
        assert record.accuracy == pytest.approx(other.accuracy, abs=0.02)


def _that_measures(n_bytes):
    class Measured:
        def __enter__(self):
            return Spent(device_peak_bytes=n_bytes)

        def __exit__(self, *_):
            return None

    return Measured
