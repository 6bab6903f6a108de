"""Formulas of sparsifying and spherical merges in plain Python, in double precision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Rows = list[list[float]]


def elected(rows: Rows, *, mean: bool) -> list[float]:
    """Of each column, the sum or mean of what has the sign of its sum."""
    merged = []
    for column in zip(*rows, strict=True):
        sum_ = math.fsum(column)
        agreeing = [value for value in column if value * sum_ > 0]
        total = math.fsum(agreeing)
        merged.append(total / len(agreeing) if agreeing and mean else total)
    return merged


def banded(row: Sequence[float], density: float, outliers: float) -> list[float]:
    """The row without its largest and its smallest entries."""
    if not row:
        return []
    n_kept = max(1, round(density * len(row)))
    n_cut = min(math.floor(outliers * len(row)), len(row) - n_kept)
    kept = sorted((abs(value) for value in row), reverse=True)[n_cut : n_cut + n_kept]
    high = kept[0] if n_cut else math.inf
    return [value if kept[-1] <= abs(value) <= high else 0.0 for value in row]


def drop_probabilities(row: Sequence[float], rate: float, window: float) -> list[float]:
    """MagPrune's probabilities of a row's entries, not rounded."""
    if len(row) == 1:
        return [rate]
    rising = sorted(range(len(row)), key=lambda column: (abs(row[column]), column))
    return [
        rate + window / 2 - window * rising.index(column) / (len(row) - 1)
        for column in range(len(row))
    ]


def karcher_mean(points: Rows) -> list[float]:
    """The mean on the unit sphere of unit vectors that lie close together."""
    middle = _unit([math.fsum(column) for column in zip(*points, strict=True)])
    for _ in range(1000):
        step = [0.0] * len(middle)
        for point in points:
            cosine = min(1.0, math.fsum(a * b for a, b in zip(middle, point, strict=True)))
            angle = math.acos(cosine)
            flat = [b - cosine * a for a, b in zip(middle, point, strict=True)]
            length = math.sqrt(math.fsum(value * value for value in flat))
            if length > 0:
                step = [s + angle * f / length for s, f in zip(step, flat, strict=True)]
        middle = _unit([m + 0.3 * s / len(points) for m, s in zip(middle, step, strict=True)])
    return middle


def slerp(one: Sequence[float], other: Sequence[float], t: float) -> list[float]:
    """Shoemake's formula."""
    cosine = math.fsum(a * b for a, b in zip(_unit(one), _unit(other), strict=True))
    omega = math.acos(cosine)
    return [
        (math.sin((1 - t) * omega) * a + math.sin(t * omega) * b) / math.sin(omega)
        for a, b in zip(one, other, strict=True)
    ]


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(math.fsum(value * value for value in vector))
    return [value / length for value in vector]
