"""Variance over images and seeds adds up, and one varying method is not judged by the others."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from taskmark.statistics import uncertainty


def replicates(generator, *, seeds, images=0.0, both=0.0, resamples=4000):
    """Scores of methods by seed, with normal replicates around them, [1 + R, M, S]."""
    observed = np.asarray(seeds, float)
    shape = (resamples, *observed.shape)
    noise = images * generator.standard_normal((resamples, observed.shape[0], 1))
    return np.concatenate(
        [observed[None], observed + noise + both * generator.standard_normal(shape)]
    )


def test_seeds_alone_have_one_degree_less_than_their_number():
    scores = replicates(np.random.default_rng(0), seeds=[[0.1, 0.2, 0.3]])
    found = uncertainty.of_scores(scores)
    assert found.error[0] == pytest.approx(0.1 / np.sqrt(3))
    assert found.freedom[0] == pytest.approx(2)
    assert found.margin()[0] == pytest.approx(4.3027 * 0.1 / np.sqrt(3), rel=1e-4)


def test_images_that_seeds_share_add_their_variance_and_their_own_is_counted_once():
    scores = replicates(np.random.default_rng(0), seeds=[[0, 1, 2]], images=0.5, both=0.7)
    found = uncertainty.of_scores(scores)
    # C = .25; W = 1 / 3 holds what images do to one seed alone.
    assert found.error[0] ** 2 == pytest.approx(0.25 + 1 / 3, rel=0.05)
    assert found.freedom[0] == pytest.approx(2 * (0.25 + 1 / 3) * 3, rel=0.05)
    assert found.item_error[0] ** 2 == pytest.approx(0.25 + 0.49 / 3, rel=0.05)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_one_or_two_seeds_are_taken_as_they_are(n_seeds):
    scores = replicates(np.random.default_rng(0), seeds=[[0.0, 5.0][:n_seeds]], images=0.5)
    found = uncertainty.of_scores(scores)
    assert found.error[0] == pytest.approx(0.5, rel=0.05)
    assert found.margin()[0] == pytest.approx(1.96 * 0.5, rel=0.05)


def test_pairs_share_their_variance_but_for_one_that_varies_more():
    quiet = 0.01 * np.random.default_rng(0).standard_normal((9, 3))
    noisy = np.array([[-1.0, 0.0, 1.0]])
    scores = replicates(np.random.default_rng(1), seeds=np.vstack([quiet, noisy]))
    found = uncertainty.of_differences(scores)
    assert found.freedom[0, 9] == pytest.approx(2), "its own seeds, and no others"
    own = np.var(quiet[0] - noisy[0], ddof=1) / 3
    assert found.error[0, 9] ** 2 == pytest.approx(own)
    assert found.freedom[0, 1] == pytest.approx(18)


def test_two_competitors_have_the_freedom_of_their_own_seeds():
    scores = replicates(np.random.default_rng(0), seeds=[[0.1, 0.2, 0.3], [0, 0, 0]])
    assert uncertainty.of_differences(scores).freedom[0, 1] == pytest.approx(2)


def test_one_method_that_varies_more_is_falsely_separated_at_most_in_one_of_twenty():
    generator = np.random.default_rng(2)
    wrong, boards = 0, 400
    spread = np.ones((8, 1))
    spread[0] = 5
    for _ in range(boards):
        scores = replicates(
            generator, seeds=spread * generator.standard_normal((8, 3)), images=0.01, resamples=50
        )
        means = scores[0].mean(axis=1)
        p_value = uncertainty.of_differences(scores).p_value(means[:, None] - means[None, :])
        one, other = np.triu_indices(8, 1)
        wrong += uncertainty.correct_together(p_value[one, other]).min() < 0.05
    assert wrong / boards < 0.05 + 3 * np.sqrt(0.05 * 0.95 / boards)


@pytest.mark.parametrize("p_values", [[0.3], [0.02, 0.9, 0.01, 0.01], [0.5, 0.04, 0.03, 1.0]])
def test_the_correction_is_the_one_of_holm(p_values):
    expected = multipletests(p_values, method="holm")[1]
    assert uncertainty.correct_together(np.array(p_values)) == pytest.approx(expected)


def test_nothing_to_correct_is_nothing():
    assert len(uncertainty.correct_together(np.array([]))) == 0
