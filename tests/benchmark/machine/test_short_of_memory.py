"""Runs that are short of memory: smaller batches and a note, or a row that says what it needed."""

from __future__ import annotations

import pytest
import tiny_provider
import torch

from taskmark.errors import TaskmarkError
from taskmark.methods.task_arithmetic import TaskArithmetic

STANDARD = {"recipes": ("standard",)}
CHOICE = {"tasks": ("hills", "lakes"), **STANDARD}
GPU = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB."


def _that_fits(most, module):
    forward = module.forward

    def short(self, batch):
        if len(batch) > most:
            raise torch.OutOfMemoryError(GPU)
        return forward(self, batch)

    return short


@pytest.mark.parametrize("part", [tiny_provider.Encoder, tiny_provider.Stem])
def test_batches_are_halved_and_every_record_says_so(tiny_run, tmp_path, monkeypatch, part):
    whole = tiny_run("task_arithmetic", **CHOICE)
    monkeypatch.setattr(part, "forward", _that_fits(20, part))
    short = tiny_run("task_arithmetic", store=tmp_path / "store", **CHOICE)
    note = "out of memory: 16 images at a time instead of "
    for record in (*short.records, *short.of("disentanglement")):
        assert any(text.startswith(note) for text in record.provenance.notes)
    for record, before in zip(short.records, whole.records, strict=True):
        assert before.provenance.notes == ()
        if record.method.name == "linear_probing" and part is tiny_provider.Encoder:
            # It asks for the features of all images at once; that is the method's own affair.
            assert record.state == "failed"
            assert record.reason.startswith("out of memory: at least ")
            continue
        assert record.state == "ok"
        assert record.record_id != before.record_id
        assert record.accuracy == pytest.approx(before.accuracy, abs=0.02)


def test_a_method_that_does_not_fit_is_a_failed_row_with_what_it_needed(
    tiny_run, tmp_path, monkeypatch
):
    def merge(*_: object) -> None:
        raise torch.OutOfMemoryError(GPU)

    monkeypatch.setattr(TaskArithmetic, "merge", merge)
    store = tmp_path / "store"
    records = tiny_run("task_arithmetic", store=store, tasks=("hills",), **STANDARD).records
    rows = {record.method.name: record for record in records}
    assert rows["task_arithmetic"].state == "failed"
    assert rows["task_arithmetic"].reason.startswith("out of memory: at least ")
    assert "2.00 GiB more asked for" in rows["task_arithmetic"].reason
    assert rows["weight_averaging"].state == "ok"


def test_a_stage_that_does_not_fit_ends_the_run_with_what_it_needed(
    tiny_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(tiny_provider.Stem, "forward", _that_fits(0, tiny_provider.Stem))
    with pytest.raises(TaskmarkError, match=r"running the frozen stem .* out of memory: at least"):
        tiny_run("task_arithmetic", store=tmp_path / "store", **CHOICE)
