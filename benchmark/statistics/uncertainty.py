"""How uncertain a mean over images and expert seeds is: one method behind every interval and test.

A score is a mean over n images and S expert seeds, drawn independently of each other, and so is the
difference of two scores. Its variance has three parts: of the seeds, of the images, which are the
same for all seeds, and of both together,

    V = s_seeds / S + s_images / n + s_both / (S n).

From the data come two estimates. C is the mean, over pairs of seeds, of the covariance of their
scores over resampled images, and estimates the second part. W is the variance of the scores over
seeds, divided by S, and estimates the first and the third. V = C + W counts every part once (the
two-way random effects of Cornfield and Tukey 1956; Owen 2007 has them for resampling).

Student's t has f V / W degrees of freedom, with f = S - 1 those of W. Satterthwaite (1946) would
take f (V / W)^2, which is right for the true V and W. Estimated ones err together: where W happens
to be small, V is too small and that number too large, and three seeds cover 92 % at worst. Without
the square the least is 94 %, the most 96.3 %, and all from images or all from seeds give 95 %.

W is at least what chance leaves of the third part alone in one of twenty draws, so that seeds that
happen to agree make no interval of width zero. With one or two seeds V is the variance over
resampled images, and everything is conditional on these seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from taskmark.statistics.resampling import Floats

LEVEL = 0.05
"""Share of errors allowed: intervals are 95 % intervals, families of tests err with at most 5 %."""

SEEDS_COMPARED_FROM = 3
"""With fewer expert seeds than this, results are conditional on those seeds."""

ROUNDING = 1e-6
"""Standard errors below this come from sums of known numbers, not from images that differ."""

_CHANCE_OF_LESS = 0.05


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of estimates, all of one shape.

    Attributes:
        error: standard errors.
        freedom: degrees of freedom of Student's t, infinite where images alone vary.
        item_error: standard errors over images, these seeds given.
    """

    error: Floats
    freedom: Floats
    item_error: Floats

    def margin(self, level: float = LEVEL) -> Floats:
        """Half the width of the interval that errs with probability `level`."""
        margin: Floats = _student_quantile(1 - level / 2, self.freedom) * self.error
        return margin

    def p_value(self, value: Floats) -> Floats:
        """Two-sided p-values of the hypothesis that the estimated quantity is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(value == 0, 0.0, np.abs(value) / self.error)
        p_value: Floats = 2 * np.where(
            np.isinf(self.freedom), special.ndtr(-ratio), special.stdtr(self.freedom, -ratio)
        )
        return p_value


def conditional(item_variance: Floats) -> Uncertainty:
    """Uncertainty over images alone, as it is for one or two seeds."""
    error = np.sqrt(item_variance)
    return Uncertainty(error, np.full_like(error, np.inf), error)


def over_seeds(
    item_variance: Floats,
    seed_item_variance: Floats,
    between: Floats,
    *,
    n_seeds: int,
    freedom: Floats | float,
) -> Uncertainty:
    """Uncertainty over images and seeds, as the module describes it.

    Args:
        item_variance: over resampled images, of the mean over seeds.
        seed_item_variance: over resampled images, of one seed; the mean over seeds.
        between: W, the variance over seeds divided by their number.
        n_seeds: their number, at least 3.
        freedom: f, the degrees of freedom of `between`.
    """
    common = (n_seeds * item_variance - seed_item_variance) / (n_seeds - 1)
    common = np.clip(common, 0.0, item_variance)  # C
    half = np.asarray(freedom) / 2
    least = special.gammaincinv(half, _CHANCE_OF_LESS) / half  # of chi-squared over freedom
    between = np.maximum(between, least * (item_variance - common))
    variance = common + between
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(between > 0, freedom * variance / between, np.inf)
    return Uncertainty(np.sqrt(variance), degrees, np.sqrt(item_variance))


def of_scores(scores: Floats) -> Uncertainty:
    """Uncertainty of means over seeds, [M], from replicates [1 + R, M, S]; 0 is the data."""
    n_seeds = scores.shape[2]
    item_variance = scores[1:].mean(axis=2).var(axis=0, ddof=1)  # [M]
    if n_seeds < SEEDS_COMPARED_FROM:
        return conditional(item_variance)
    return over_seeds(
        item_variance,
        scores[1:].var(axis=0, ddof=1).mean(axis=1),
        scores[0].var(axis=1, ddof=1) / n_seeds,
        n_seeds=n_seeds,
        freedom=n_seeds - 1,
    )


def of_differences(scores: Floats, *, image_step: Floats | float = 0.0) -> Uncertainty:
    """Uncertainty of all differences of two means over seeds, [M, M].

    Where seeds count, few of them say little about one pair, so a pair shares the mean of W over
    all pairs, with f = (M - 1) (S - 1), and has its own W where that is larger. A pair whose own W
    is larger than 19 in 20 would be by chance (an F test) has its own f = S - 1 too: one method
    that varies more than the others is not judged by them.

    Args:
        scores: replicates of M competitors, [1 + R, M, S]; 0 is the data.
        image_step: what one image changes in a difference, [M, M]; its square is added to the
            variance over images, which is one more image on which the two differ (the paired
            interval of Agresti and Min 2005).
    """
    n_methods, n_seeds = scores.shape[1:]
    added = np.square(image_step)
    item_variance = difference_variances(scores[1:].mean(axis=2).T) + added
    if n_seeds < SEEDS_COMPARED_FROM or n_methods == 1:
        return conditional(item_variance)
    each = [difference_variances(scores[1:, :, s].T) for s in range(n_seeds)]
    own = difference_variances(scores[0]) / n_seeds
    shared = own.sum() / (n_methods * (n_methods - 1))
    freedom = (n_methods - 1) * (n_seeds - 1)
    apart = own > shared * special.fdtri(n_seeds - 1, freedom, 1 - LEVEL)
    return over_seeds(
        item_variance,
        np.mean(each, axis=0) + added,
        np.maximum(own, np.where(apart, 0.0, shared)),
        n_seeds=n_seeds,
        freedom=np.where(apart, n_seeds - 1.0, freedom),
    )


def difference_variances(values: Floats) -> Floats:
    """Variance of the difference of every pair of rows, [M, K] -> [M, M]."""
    covariance = np.atleast_2d(np.cov(values))  # [M, M]
    own = np.diag(covariance)
    return np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0.0)


def _student_quantile(level: float, freedom: Floats) -> Floats:
    """Quantile of Student's t; scipy.stats checks its arguments for longer than it computes."""
    return np.where(np.isinf(freedom), special.ndtri(level), special.stdtrit(freedom, level))


def correct_together(p_values: Floats) -> Floats:
    """Correct p-values for being of one family, by Holm's method, [K].

    (That of statsmodels collects garbage at every call, 50 ms of a thousand small ones.)
    """
    order = np.argsort(p_values)
    in_order = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(in_order, 1.0)
    return corrected
