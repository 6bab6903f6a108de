"""Localisation records read back, and what a terminal says of them."""

from __future__ import annotations

import pytest
from made_up_records import SUITE, made_up_provenance

from taskmark.errors import TaskmarkError
from taskmark.records.localisation_record import (
    Eigenfunction,
    LocalisationCost,
    LocalisationEstimate,
    LocalisationRecord,
    LocalisedPair,
)
from taskmark.records.record_files import read_kind, write_record

FOUND = LocalisationEstimate(
    value=0.4321,
    direction_error=0.0123,
    image_error=0.0234,
    null_mean=0.07,
    null_low=0.05,
    null_high=0.1,
)


def _record(created_at: str = "2026-01-02T03:04:05+00:00", **changes) -> LocalisationRecord:
    pair = LocalisedPair(
        task_1="one",
        task_2="two",
        n_images=100,
        localisation=FOUND,
        leading=(Eigenfunction(share=0.5, energy=0.9),),
    )
    values = {
        "suite": SUITE,
        "backbone": "image-text",
        "n_directions": 16,
        "n_features": 128,
        "pairs": (pair, pair),
        "localisation": FOUND,
        "cost": LocalisationCost(gradient_images=1, seconds=1, cpu_seconds=1, peak_bytes=1),
        "provenance": made_up_provenance(created_at=created_at),
        **changes,
    }
    return LocalisationRecord(**values).with_record_id()


def test_a_line_has_the_value_with_its_error_beside_chance():
    assert _record().line() == (
        "NTK localisation, image-text, 2 pairs: 0.432 (s.e. 0.023 by images, 0.012 by directions), "
        "tasks shuffled 0.070 [0.050, 0.100]"
    )
    assert "image-text, 1 pair:" in _record(pairs=_record().pairs[:1]).line()


def test_the_newest_record_of_each_backbone_counts(tmp_path):
    old = _record(n_directions=8, created_at="2026-01-01T00:00:00+00:00")
    other = _record(backbone="random")
    for record in (
        _record(),
        old,
        other,
    ):
        write_record(tmp_path, record)
    assert read_kind(tmp_path, LocalisationRecord) == [_record(), other]


def test_a_record_that_was_changed_is_refused_with_its_own_cure(tmp_path):
    write_record(tmp_path, _record().model_copy(update={"n_directions": 99}))
    with pytest.raises(TaskmarkError, match=r"was changed after .* --localisation` again"):
        read_kind(tmp_path, LocalisationRecord)


def test_costs_do_not_count_in_the_id_and_values_do():
    cost = LocalisationCost(gradient_images=2, seconds=9, cpu_seconds=9, peak_bytes=9)
    assert _record(cost=cost).record_id == _record().record_id
    moved = FOUND.model_copy(update={"value": 0.5})
    assert _record(localisation=moved).record_id != _record().record_id
