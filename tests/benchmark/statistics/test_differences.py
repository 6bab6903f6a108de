"""Differences are those of the means, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskmark.statistics.differences import error_difference, score_difference
from taskmark.statistics.resampling import Scores


def scores(correct, reference=None):
    """Bits by seed and task; without a reference every expert is right everywhere."""
    reference = reference or {
        s: {t: np.ones(len(bits)) for t, bits in of.items()} for s, of in correct.items()
    }
    return Scores(correct=correct, reference=reference)


def test_the_error_of_paired_bits_is_that_of_their_differences():
    generator = np.random.default_rng(0)
    one, two = generator.random(400) < 0.7, generator.random(400) < 0.6
    found = score_difference(
        scores({0: {"a": one}}), scores({0: {"a": two}}), measure="accuracy", resamples=20_000
    )
    pairs = one.astype(float) - two.astype(float)
    assert found.value == pytest.approx(pairs.mean())
    assert (found.first, found.second) == (one.mean(), two.mean())
    assert found.high - found.value == pytest.approx(1.96 * pairs.std() / 20, rel=0.02)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_each_side_is_normalised_by_its_own_experts():
    ones, half = np.ones(10), np.tile([1.0, 0.0], 5)
    first = scores({0: {"a": half}}, {0: {"a": half}})
    second = scores({0: {"a": half}}, {0: {"a": ones}})
    found = score_difference(first, second, measure="normalised_accuracy")
    assert (found.first, found.second) == (1.0, 0.5)
    assert score_difference(first, second, measure="accuracy").value == 0


def test_three_seeds_give_the_interval_of_students_t_worked_out_by_hand():
    # Nothing differs from image to image; over the seeds the difference is 0.1, 0.2, 0.3.
    first = scores({s: {"a": np.full(8, 0.5 + d)} for s, d in enumerate([0.1, 0.2, 0.3])})
    second = scores({s: {"a": np.full(8, 0.5)} for s in range(3)})
    found = score_difference(first, second, measure="accuracy")
    assert found.value == pytest.approx(0.2)
    # t of 2 degrees of freedom at 97.5 % is 4.3027; the error is 0.1 / sqrt(3).
    assert found.high == pytest.approx(0.2 + 4.3027 * 0.1 / np.sqrt(3), abs=1e-4)
    two = score_difference(
        scores({s: first.correct[s] for s in (0, 1)}),
        scores({s: second.correct[s] for s in (0, 1)}),
        measure="accuracy",
    )
    assert two.high == pytest.approx(two.value, abs=1e-6), "two seeds say nothing of their spread"


def test_errors_add_up_over_tasks_and_average_over_seeds():
    first = {
        0: {"a": np.array([0.0, 1.0]), "b": np.array([0.5])},
        1: {"a": np.array([1.0, 1.0]), "b": np.array([0.5])},
    }
    second = {s: {"a": np.zeros(2), "b": np.array([0.25])} for s in (0, 1)}
    found = error_difference(first, second)
    assert found.first == pytest.approx((0.5 + 0.5 + 1.0 + 0.5) / 2)
    assert found.second == pytest.approx(0.25)
    assert found.value == pytest.approx(1.0)


def test_the_interval_of_errors_covers_and_pairing_makes_it_narrow():
    generator = np.random.default_rng(4)
    covered, widths = 0, []
    for repetition in range(600):
        common = generator.beta(1, 4, size=(2, 120))  # an image is as hard for both
        noise = generator.normal(0, 0.02, size=(2, 120))
        first = {0: {"a": common[0] + 0.03 + noise[0], "b": common[1] + noise[1]}}
        second = {0: {"a": common[0], "b": common[1]}}
        found = error_difference(first, second, resamples=300, seed=repetition)
        covered += found.low <= 0.03 <= found.high
        widths.append(found.high - found.low)
    assert 0.92 < covered / 600 < 0.98
    unpaired = 2 * 1.96 * np.sqrt(4 * common.var() / 120)
    assert max(widths) < unpaired / 5


@pytest.mark.parametrize(
    "other",
    [
        {1: {"a": np.zeros(3)}},
        {0: {"b": np.zeros(3)}},
        {0: {"a": np.zeros(4)}},
        {0: {"a": np.zeros(3)}, 1: {"a": np.zeros(3)}},
    ],
)
def test_other_seeds_tasks_or_images_are_refused(other):
    with pytest.raises(ValueError, match="must share"):
        error_difference({0: {"a": np.zeros(3)}}, other)
    with pytest.raises(ValueError, match="must share"):
        score_difference(scores({0: {"a": np.zeros(3)}}), scores(other), measure="accuracy")


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), n_seeds=st.integers(1, 4), seed=st.integers(0, 1000))
def test_a_difference_turned_round_is_its_negative_and_lies_in_its_interval(n, n_seeds, seed):
    generator = np.random.default_rng(seed)
    one, two = (
        {s: {"a": generator.integers(0, 2, n).astype(float)} for s in range(n_seeds)} for _ in "12"
    )
    there = score_difference(scores(one), scores(two), measure="accuracy", resamples=50)
    back = score_difference(scores(two), scores(one), measure="accuracy", resamples=50)
    assert there.value == pytest.approx(-back.value)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.low <= there.value <= there.high
    same = score_difference(scores(one), scores(one), measure="accuracy", resamples=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)
