"""Intervals of shares near 0 and 1, where resampled images cannot show what was not seen.

Fifty of fifty right resample to fifty of fifty, however often. Below thirty images right, or thirty
wrong, an interval is Wilson's, with the number of images that has the variance of the mean over
tasks (Korn and Graubard 1998), and a ratio has that of two such shares (Donner and Zou 2012).
"""

from __future__ import annotations

from math import sqrt
from typing import TypeAlias

from scipy import stats

from taskmark.statistics.uncertainty import LEVEL, ROUNDING

Ends: TypeAlias = tuple[float, float]

ENOUGH = 30
"""With as many images right, and as many wrong, resampled images show the spread."""

Z = float(stats.norm.ppf(1 - LEVEL / 2))


def is_near_edge(share: float, error: float, n_items: float) -> bool:
    """Whether too few images are right or wrong; a share that is known has no edges."""
    seen = error > ROUNDING or share in {0.0, 1.0}
    return seen and n_items * min(share, 1 - share) < ENOUGH


def share_ends(share: float, margin: float, n_items: float) -> Ends:
    """Wilson's interval of a share of known margin.

    It holds all p with (share - p)^2 <= k p (1 - p), where k = margin^2 / (share (1 - share)); at 0
    and 1, where no spread is seen, k = z^2 / n.

    Args:
        share: in [0, 1].
        margin: half the width that the interval would have far from the edges.
        n_items: number of images.
    """
    inside = share * (1 - share)
    k = margin**2 / inside if inside > 0 else Z**2 / n_items
    middle, half = share + k / 2, sqrt(k * inside + k**2 / 4)
    # Rounding may put an end past the share itself.
    return max(0.0, min((middle - half) / (1 + k), share)), min(
        1.0, max((middle + half) / (1 + k), share)
    )


def ratio_ends(first: float, second: float, ends: tuple[Ends, Ends], correlation: float) -> Ends:
    """Interval of first / second, which have intervals of their own and a correlation.

    The lower end is the least r >= 0 with (a - r b)^2 = d^2 + r^2 e^2 - 2 c r d e, where a and b
    are the two, d the distance of a to its lower end, e that of b to its upper end, and c the
    correlation; the upper end, the other way round, the largest.

    Args:
        first: a.
        second: b, above 0.
        ends: of the intervals of the two.
        correlation: c.
    """
    (first_low, first_high), (second_low, second_high) = ends
    low, *_ = _roots(first, second, first - first_low, second_high - second, correlation)
    *_, high = _roots(first, second, first_high - first, second - second_low, correlation)
    return min(low, first / second), max(high, first / second)


def _roots(a: float, b: float, d: float, e: float, c: float) -> tuple[float, float]:
    """The least and the largest r of the equation; none below 0 counts as 0."""
    square, middle, constant = b**2 - e**2, a * b - c * d * e, a**2 - d**2
    root = sqrt(max(middle**2 - square * constant, 0.0))
    low = constant / (middle + root) if middle + root > 0 else 0.0
    return max(low, 0.0), (middle + root) / square if square > 0 else float("inf")
