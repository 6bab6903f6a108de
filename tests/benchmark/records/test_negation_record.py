"""Negation records read back, and what a terminal says of them."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_records import SUITE, made_up_provenance

from taskmark.errors import TaskmarkError
from taskmark.records.negation_record import (
    MeanAccuracy,
    NegatedTask,
    NegationRecord,
    NegationResult,
    NegationTrial,
)
from taskmark.records.packing import pack_bits
from taskmark.records.record_files import read_kind, write_record


def _tested(task: str, n_correct: int, before: float) -> NegationResult:
    bits = np.arange(10) < n_correct
    return NegationResult(
        task=task,
        n=10,
        n_correct=n_correct,
        accuracy=n_correct / 10,
        low=0,
        high=1,
        bits=pack_bits(bits),
        pretrained_accuracy=before,
    )


def _record(created_at: str = "2026-01-02T03:04:05+00:00", **changes) -> NegationRecord:
    curve = (NegationTrial(alpha=0, target=0.6, controls=(0.5,)),)
    tasks = tuple(
        NegatedTask(target=_tested(a, 2, 0.6), controls=(_tested(b, 5, 0.5),), alpha=0, curve=curve)
        for a, b in (("one", "two"), ("three", "two"))
    )
    values = {
        "suite": SUITE,
        "backbone": "image-text",
        "heads": "zero-shot",
        "recipe": "standard",
        "expert_seed": 0,
        "keep": 0.95,
        "tasks": tasks,
        "target": MeanAccuracy(accuracy=0.204, low=0.1, high=0.3),
        "control": MeanAccuracy(accuracy=0.5, low=0.45, high=0.55),
        "seconds": 1.0,
        "provenance": made_up_provenance(created_at=created_at),
        **changes,
    }
    return NegationRecord(**values).with_record_id()


def test_a_line_has_both_means_before_and_after_with_their_intervals():
    assert _record().line() == (
        "Negation, image-text, standard: targets 60.0 -> 20.4 [10.0, 30.0], "
        "controls 50.0 -> 50.0 [45.0, 55.0]"
    )


def test_the_newest_record_of_each_backbone_recipe_and_seed_counts(tmp_path):
    old = _record(keep=0.9, created_at="2026-01-01T00:00:00+00:00")
    other = _record(recipe="tangent")
    for record in (
        _record(),
        old,
        other,
    ):
        write_record(tmp_path, record)
    assert read_kind(tmp_path, NegationRecord) == [_record(), other]


def test_a_folder_without_negation_has_no_records(tmp_path):
    assert read_kind(tmp_path, NegationRecord) == []


def test_a_record_that_was_changed_is_refused(tmp_path):
    forged = _record().model_copy(update={"target": MeanAccuracy(accuracy=0, low=0, high=0)})
    write_record(tmp_path, forged)
    with pytest.raises(TaskmarkError, match="was changed after it was made"):
        read_kind(tmp_path, NegationRecord)


def test_a_file_that_is_no_record_is_refused(tmp_path):
    (tmp_path / "negation").mkdir()
    (tmp_path / "negation" / "x.json").write_text("{}", "utf-8")
    with pytest.raises(TaskmarkError, match=r"x\.json' is not a valid record \(suite"):
        read_kind(tmp_path, NegationRecord)


def test_a_record_without_a_date_is_refused_with_its_own_cure(tmp_path):
    write_record(tmp_path, _record(created_at="yesterday"))
    with pytest.raises(TaskmarkError, match=r"has no date .* --negation` again"):
        read_kind(tmp_path, NegationRecord)


def test_times_do_not_count_in_the_id_and_alphas_do():
    record = _record()
    assert (
        _record(seconds=9.0, created_at="2027-01-01T00:00:00+00:00").record_id == record.record_id
    )
    changed = record.tasks[0].model_copy(update={"alpha": 1.0})
    assert _record(tasks=(changed, record.tasks[1])).record_id != record.record_id
