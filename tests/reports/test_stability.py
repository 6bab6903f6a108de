"""Pairs that differ are counted, and rankings correlated, as one would by hand."""

from __future__ import annotations

import pytest
from planted import rows

from taskmark.reports.board import boards
from taskmark.reports.stability import power

APART = {"ties": 0.4, "task_arithmetic": 0.6, "dv_basi": 0.8}


def measured(*records):
    return power(boards([record for some in records for record in some]))


def test_of_three_methods_all_far_apart_three_pairs_differ():
    found = measured(rows(APART, seeds=(0, 1, 2)))
    assert (found.n_pairs, found.n_separated, found.separation) == (3, 3, "holds")
    [board] = found.boards
    assert (board.n_pairs, board.n_separated, board.expert_seeds) == (3, 3, (0, 1, 2))
    assert board.correlations == (1.0, 1.0, 1.0)
    assert (found.mean_correlation, found.stability) == (1.0, "holds")


def test_a_pair_counts_once_if_any_backbone_tells_it_apart():
    # On one backbone the first two are alike, on the other the last two; first and last never.
    one = rows({"ties": 0.5, "task_arithmetic": 0.5, "dv_basi": 0.8}, seeds=(0, 1, 2))
    other = {"ties": 0.5, "task_arithmetic": 0.8, "dv_basi": 0.8}
    found = measured(one, rows(other, backbone="other", seeds=(0, 1, 2)))
    assert [board.n_separated for board in found.boards] == [2, 2]
    assert (found.n_pairs, found.n_separated, found.separation) == (3, 3, "holds")


def test_methods_that_are_alike_are_not_told_apart():
    alike = {"ties": 0.6, "task_arithmetic": 0.6, "linear_probing": 0.6, "dv_basi": 0.8}
    found = measured(rows(alike, seeds=(0, 1, 2)))
    assert (found.n_pairs, found.n_separated) == (6, 3)
    assert found.separation == "holds", "half is enough"
    fewer = measured(rows(dict.fromkeys(alike, 0.6), seeds=(0, 1, 2)))
    assert (fewer.n_separated, fewer.separation) == (0, "does not hold")
    assert (fewer.mean_correlation, fewer.stability) == (None, "not measured")


def test_reference_rows_do_not_compete():
    found = measured(rows({**APART, "weight_averaging": 0.1, "pretrained": 0.0}, seeds=(0, 1)))
    assert found.n_pairs == 3


def test_a_ranking_that_turns_round_with_the_seed_is_not_stable():
    names = list(APART)
    records = rows(APART, seeds=(0, 1))
    turned = dict(zip(names, reversed(APART.values()), strict=True))
    found = measured(
        [record for record in records if record.seeds.expert == 0], rows(turned, seeds=(1,))
    )
    assert found.boards[0].correlations == (-1.0,)
    assert (found.mean_correlation, found.stability) == (-1.0, "does not hold")


def test_the_mean_correlation_is_that_of_the_backbones():
    turned = dict(zip(APART, reversed(APART.values()), strict=True))
    found = measured(
        rows(APART, seeds=(0, 1)), rows(APART, backbone="b"), rows(turned, backbone="b", seeds=(1,))
    )
    assert [board.mean_correlation for board in found.boards] == [-1.0, 1.0]
    assert found.mean_correlation == 0


@pytest.mark.parametrize(("seeds", "stability"), [((0,), "not measured"), ((0, 1), "holds")])
def test_with_fewer_than_three_seeds_pairs_are_counted_but_not_judged(seeds, stability):
    found = measured(rows(APART, seeds=seeds))
    assert (found.n_separated, found.separation) == (3, "not measured")
    assert found.stability == stability


def test_one_backbone_with_too_few_seeds_leaves_the_whole_unjudged():
    found = measured(rows(APART, seeds=(0, 1, 2)), rows(APART, backbone="other"))
    assert found.separation == "not measured"


def test_nothing_at_all_is_not_measured():
    found = power([])
    assert (found.n_pairs, found.separation, found.stability) == (0, "not measured", "not measured")
