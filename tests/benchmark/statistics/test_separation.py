"""Pairs are told apart over all boards at once, and rankings are correlated seed by seed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from taskmark.statistics.intervals import compare_pairs
from taskmark.statistics.resampling import Scores, replicates
from taskmark.statistics.separation import corrected_together, rank_correlations


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
    normalised = replicates(competitors, 100, np.random.default_rng(0))[1]
    p_values = compare_pairs(competitors, normalised).uncorrected
    pairs = itertools.combinations(range(len(names)), 2)
    return {(names[i], names[j]): float(p_values[i, j]) for i, j in pairs}


def corrected(boards):
    return corrected_together({name: uncorrected(scores) for name, scores in boards.items()})


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
