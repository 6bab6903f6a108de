"""Where the labels of points go, so that none lies on another or on a point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_DISTANCES = (9.0, 16.0, 23.0, 30.0, 38.0)
_N_DIRECTIONS = 12
_FIRST = math.radians(40)  # up and to the right is where a reader looks first


def label_centres(
    points: NDArray[np.float64],
    sizes: Sequence[tuple[float, float]],
    *,
    marker: float,
    within: tuple[float, float],
) -> NDArray[np.float64]:
    """Find a place for the label of each point, one after the other.

    Each takes the nearest place where it covers no point and no label before it; where there is
    none, the one that covers least.

    Args:
        points: [N, 2], in any unit of length, from the lower left corner of the plot.
        sizes: width and height of each label.
        marker: side of the square that a point takes.
        within: width and height of the plot, which labels stay in.

    Returns:
        Centres of the labels, [N, 2].
    """
    halves = np.array(sizes, dtype=np.float64).reshape(-1, 2) / 2
    taken = [(*point, marker / 2, marker / 2) for point in points.tolist()]
    centres = np.empty_like(points)
    for number, (point, half) in enumerate(zip(points, halves, strict=True)):
        candidates = point + _offsets()
        low, high = half, np.array(within) - half
        outside = ((candidates < low) | (candidates > high)).any(1) * 1e9
        best = int(np.argmin(_covered(candidates, half, np.array(taken)) + outside))
        centres[number] = candidates[best]
        taken.append((*centres[number].tolist(), *half.tolist()))
    return centres


def _offsets() -> NDArray[np.float64]:
    # Nearest first, and from the first direction by turns to both sides.
    turns = sorted(range(_N_DIRECTIONS), key=lambda n: (min(n, _N_DIRECTIONS - n), n))
    angles = [_FIRST + 2 * math.pi * turn / _N_DIRECTIONS for turn in turns]
    return np.array([(d * math.cos(a), d * math.sin(a)) for d in _DISTANCES for a in angles])


def _covered(
    centres: NDArray[np.float64], half: NDArray[np.float64], taken: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The area of `taken` [M, 4] that a box around each of the centres [K, 2] covers, [K]."""
    apart = np.abs(centres[:, None] - taken[None, :, :2])  # [K, M, 2]
    shared = np.minimum(half + taken[:, 2:] - apart, 2 * np.minimum(half, taken[:, 2:]))
    covered: NDArray[np.float64] = np.prod(np.clip(shared, 0, None), axis=2).sum(1)
    return covered
