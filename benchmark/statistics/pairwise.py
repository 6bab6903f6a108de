"""Differences between every two competitors, their standard errors and their p-values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from taskmark.statistics.resampling import SEEDS_RESAMPLED_FROM, Floats, Scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Differences:
    """Every competitor less every other, [M, M] each.

    Attributes:
        value: mean over seeds of the row's score less the column's.
        error: its standard error.
        freedom: degrees of freedom of that error, infinite for fewer than three seeds.
    """

    value: Floats
    error: Floats
    freedom: Floats

    def margin(self, level: float) -> Floats:
        """Half the width of the interval that errs with probability `level`, [M, M]."""
        margin: Floats = stats.t.ppf(1 - level / 2, self.freedom) * self.error
        return margin


def differences(scores: Floats) -> Differences:
    """Compare M competitors by scores of replicates, [1 + R, M, S]; replicate 0 is the data.

    The variance of a difference comes from resamples of images that are the same for both and,
    from three expert seeds on, from the variance over seeds besides; the degrees of freedom are
    Welch's and Satterthwaite's.
    """
    observed = scores[0].mean(axis=1)  # [M]
    error, freedom = _standard_errors(scores[1:].mean(axis=2), scores[0])
    return Differences(observed[:, None] - observed[None, :], error, freedom)


def p_values(found: Differences, competitors: Sequence[Scores]) -> Floats:
    """Two-sided p-values of no difference, [M, M].

    They come from Student's t, and are never smaller than 2^(1 - k), the best an exact sign test
    could do with the k images on which the two differ; 1 where no image differs.
    """
    n_differing = _n_differing(competitors)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(found.value == 0, 0.0, np.abs(found.value) / found.error)
    of_ratio = 2 * stats.t.sf(ratio, found.freedom)
    least = np.minimum(np.exp2(1.0 - n_differing), 1.0)
    return np.where(n_differing == 0, 1.0, np.clip(of_ratio, least, 1.0))


def _standard_errors(replicates: Floats, by_seed: Floats) -> tuple[Floats, Floats]:
    """Standard errors of all pairwise differences and their degrees of freedom, [M, M] each.

    `replicates` are scores by resampled images, seeds equally weighted, [R, M]; `by_seed` observed
    scores, [M, S]. Three seeds say little about the spread of one pair, so a pair's own variance
    over seeds counts only where it exceeds the mean over all pairs; its degrees of freedom are
    those of the mean.
    """
    variance = _difference_variances(replicates.T)  # [M, M]
    freedom = np.full_like(variance, np.inf)
    n_methods, n_seeds = by_seed.shape
    if n_seeds >= SEEDS_RESAMPLED_FROM and n_methods > 1:
        own = _difference_variances(by_seed) / n_seeds  # [M, M]
        of_seeds = np.maximum(own, own.sum() / (n_methods * (n_methods - 1)))
        variance += of_seeds
        seen = of_seeds > 0
        freedom[seen] = (n_methods - 1) * (n_seeds - 1) * np.square(variance[seen] / of_seeds[seen])
    return np.sqrt(variance), freedom


def _difference_variances(values: Floats) -> Floats:
    """Variance of the difference of every pair of rows, [M, K] -> [M, M]."""
    covariance = np.atleast_2d(np.cov(values))  # [M, M]
    own = np.diag(covariance)
    return np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0.0)


def _n_differing(competitors: Sequence[Scores]) -> NDArray[np.int64]:
    """Count the images on which two competitors, or their experts, differ, [M, M]."""
    stacked = [
        np.stack(
            [
                np.concatenate([np.asarray(side[s][task], np.float32) for task in sorted(side[s])])
                for side in (competitor.correct, competitor.reference)
                for s in sorted(side)
            ]
        )  # [2 S, N]
        for competitor in competitors
    ]
    n_differing = np.zeros((len(stacked), len(stacked)), dtype=np.int64)
    for i, one in enumerate(stacked):
        for j in range(i):
            differs = (one != stacked[j]).any(axis=0)
            n_differing[i, j] = n_differing[j, i] = int(differs.sum())
    return n_differing
