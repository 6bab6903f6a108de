"""Pairs that differ are counted, and rankings correlated, as one would by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from planted import rows

from taskmark.reports.board import boards
from taskmark.reports.stability import correct_over_boards, power, rank_correlations
from taskmark.statistics.intervals import compare_pairs
from taskmark.statistics.resampling import Scores, replicates

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


def board_of(wrong, n=400):
    """Competitors that get so many images wrong, each those of the one before and more."""
    everywhere = {0: {"a": np.ones(n, bool)}}
    return {
        name: Scores(correct={0: {"a": np.arange(n) >= k}}, reference=everywhere)
        for name, k in wrong.items()
    }


def uncorrected(scores):
    """The p-values of the test that ranks a board, pair by pair."""
    names = sorted(scores)
    if not names:
        return {}
    competitors = [scores[name] for name in names]
    drawn = replicates(competitors, 2000, np.random.default_rng(0))
    p_values = compare_pairs(competitors, drawn).uncorrected
    pairs = itertools.combinations(range(len(names)), 2)
    return {(names[i], names[j]): float(p_values[i, j]) for i, j in pairs}


def corrected(boards):
    return correct_over_boards({name: uncorrected(scores) for name, scores in boards.items()})


def test_p_values_are_corrected_by_holm_over_pairs_and_boards_worked_out_by_hand():
    # k images that all speak for one side allow p = 2^(1 - k): 1/64, 1/32 and 1/16.
    boards = {
        "one": board_of({"x": 0, "y": 7}),
        "two": board_of({"y": 6, "x": 0}),
        "three": board_of({"x": 0, "y": 5}),
    }
    found = corrected(boards)
    assert list(found) == ["one", "two", "three"]
    assert found["one"] == {("x", "y"): pytest.approx(3 / 64)}
    assert found["two"] == {("x", "y"): pytest.approx(2 / 32)}
    assert found["three"] == {("x", "y"): pytest.approx(2 / 32)}  # never below the one before
    assert corrected({"one": boards["one"]})["one"] == {("x", "y"): pytest.approx(1 / 64)}


def test_all_pairs_of_a_board_are_tested_and_equal_ones_never_differ():
    found = corrected({"only": board_of({"a": 0, "b": 0, "c": 100})})["only"]
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert found["a", "b"] == 1
    assert max(found["a", "c"], found["b", "c"]) < 1e-6


def test_a_board_with_nothing_to_compare_has_no_pairs():
    assert corrected({"empty": {}, "alone": board_of({"a": 0})}) == {"empty": {}, "alone": {}}


def test_correlations_worked_out_by_hand():
    # Of six pairs the second seed turns one round, (5 - 1) / 6; the third turns all.
    scores = np.array([[4, 4, 1], [3, 3, 2], [2, 1, 3], [1, 2, 4]], float)
    assert rank_correlations(scores) == pytest.approx((4 / 6, -1, -4 / 6))


def test_ties_count_as_tau_b_has_them():
    # Two concordant pairs; one of three pairs is tied on one side: 2 / sqrt(2 * 3).
    scores = np.array([[1, 1], [2, 2], [2, 3]], float)
    assert rank_correlations(scores) == pytest.approx((2 / np.sqrt(6),))


@pytest.mark.parametrize("scores", [np.ones((3, 1)), np.zeros((0, 3)), np.ones((1, 3))])
def test_without_two_rankings_there_is_no_correlation(scores):
    assert rank_correlations(scores) == ()


def test_a_seed_that_ranks_all_equal_has_no_correlation():
    assert rank_correlations(np.array([[1, 5, 1], [2, 5, 2]], float)) == pytest.approx((1.0,))
