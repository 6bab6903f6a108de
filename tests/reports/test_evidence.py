"""Evidence is a difference of two measurements on the same images, or says what is missing."""

from __future__ import annotations

import pytest
from made_up_records import (
    TASKS,
    made_up_disentanglement,
    made_up_failure,
    made_up_method,
    made_up_record,
)
from planted import evidence, maps, rows

from taskmark.reports.board import boards
from taskmark.reports.evidence import Evidence

ADDITION, TIES = ("task_arithmetic", "standard"), ("ties", "standard")


def scores(found, first=TIES, second=ADDITION, *, backbones=("supervised",) * 2):
    return found.scores(first, second, backbones=backbones, measure="normalised_accuracy")


def test_a_difference_of_scores_is_that_of_the_rows_of_the_board():
    records = rows({"ties": 0.7, "task_arithmetic": 0.5}, seeds=(0, 1))
    by_name = {row.method.name: row for row in boards(records)[0].rows}
    found = scores(evidence(records))
    assert (found.seeds, found.missing) == ((0, 1), "")
    assert found.difference.first == pytest.approx(by_name["ties"].normalised_accuracy)
    assert found.difference.second == pytest.approx(by_name["task_arithmetic"].normalised_accuracy)


def test_a_difference_of_errors_is_that_of_the_numbers_under_the_maps():
    found = maps({("supervised", "standard"): 0.5, ("random", "standard"): 0.9}, seeds=(0, 1))
    compared = evidence(found=found).errors(("supervised", "standard"), ("random", "standard"))
    assert compared.difference.first == pytest.approx(sum(m.unit_square for m in found[:2]) / 2)
    assert compared.difference.second == pytest.approx(sum(m.unit_square for m in found[2:]) / 2)
    assert compared.seeds == (0, 1)


def test_only_seeds_that_both_have_are_compared():
    found = maps({("supervised", "standard"): 0.5}, seeds=(0, 1))
    found += maps({("random", "standard"): 0.9}, seeds=(1, 2))
    compared = evidence(found=found).errors(("supervised", "standard"), ("random", "standard"))
    assert compared.seeds == (1,)
    assert compared.difference.first == pytest.approx(found[1].unit_square)


def test_two_backbones_are_compared_on_the_same_images():
    records = rows({"ties": 0.7}) + rows({"ties": 0.7}, backbone="other")
    found = scores(evidence(records), TIES, TIES, backbones=("supervised", "other"))
    assert (found.difference.value, found.difference.low) == (0, 0)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (rows({"ties": 0.7}, n=20), "no row of task_arithmetic"),
        (
            [
                *rows({"ties": 0.7, "task_arithmetic": 0.5}, n=20),
                made_up_record(
                    method=made_up_method("ties", hyperparameters={"density": 0.1}),
                    backbone="supervised",
                    n=20,
                ),
            ],
            "2 rows of ties with different settings",
        ),
        (
            [
                *rows({"task_arithmetic": 0.5}, n=20),
                made_up_failure(n=20, backbone="supervised", method=made_up_method("ties")),
            ],
            "the row of ties is failed: ValueError",
        ),
        (rows({"ties": 0.7}, n=20, backbone="other"), "no records of the backbone supervised"),
    ],
)
def test_what_is_missing_is_named(records, words):
    found = scores(evidence(records))
    assert found.difference is None
    assert words in found.missing


def test_backbones_that_cannot_be_compared_say_why():
    other = made_up_record(
        method=made_up_method("ties"), backbone="other", n=20, tasks=TASKS[:2], expert_seed=0
    )
    found = evidence([*rows({"ties": 0.7}, n=20), other])
    both = ("supervised", "other")
    assert "different tasks" in scores(found, TIES, TIES, backbones=both).missing
    found = evidence(
        rows({"ties": 0.7}, n=20) + rows({"ties": 0.7}, n=20, backbone="other", seeds=(1,))
    )
    assert "no expert seed in common" in scores(found, TIES, TIES, backbones=both).missing


def test_maps_that_cannot_be_compared_say_why():
    one, other = ("supervised", "standard"), ("random", "standard")
    alone = evidence(found=maps({one: 0.5}))
    assert alone.errors(one, other).missing == "no map of random under the recipe standard"
    coarse = made_up_disentanglement(backbone="random", n_images=3)
    found = evidence(found=[*maps({one: 0.5}), coarse])
    assert "different grids" in found.errors(one, other).missing


def test_a_map_without_pairs_counts_as_none():
    record = made_up_disentanglement(backbone="supervised").model_copy(update={"pairs": ()})
    assert Evidence([], [record]).backbones == ()


def test_the_control_stands_last():
    found = maps({(name, "tangent"): 0.5 for name in ("random", "supervised", "masked")})
    assert evidence(found=found).backbones == ("masked", "supervised", "random")
