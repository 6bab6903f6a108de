"""The papers' formulas in plain Python: slow, in double precision, and obvious."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Rows = list[list[float]]


def summed(rows: Rows) -> list[float]:
    """sum_t tau_t."""
    return [math.fsum(column) for column in zip(*rows, strict=True)]


def averaged(rows: Rows) -> list[float]:
    """(1 / T) sum_t tau_t."""
    return [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]


def trimmed(row: Sequence[float], density: float) -> list[float]:
    """The row with all but its k largest magnitudes, and what equals the k-th, set to zero."""
    if not row:
        return []
    k = max(1, round(density * len(row)))
    kth = sorted((abs(value) for value in row), reverse=True)[k - 1]
    return [value if abs(value) >= kth else 0.0 for value in row]


def ties(
    rows: Rows,
    cuts: Sequence[int],
    *,
    density: float,
    mean: bool,
    weights: Sequence[float] | None = None,
) -> list[float]:
    """TIES with trimming between the cuts 0 .. P, and a weight a task before the election."""
    weights = weights or [1.0] * len(rows)
    kept = [
        [value for a, b in itertools.pairwise(cuts) for value in trimmed(row[a:b], density)]
        for row in rows
    ]
    merged = []
    for column in zip(*kept, strict=True):
        weighted = [weight * value for weight, value in zip(weights, column, strict=True)]
        elected = math.fsum(weighted)
        agreeing = [(v, abs(w)) for v, w in zip(weighted, weights, strict=True) if v * elected > 0]
        total = math.fsum(value for value, _ in agreeing)
        share = math.fsum(size for _, size in agreeing)
        merged.append(total / share if agreeing and mean else total)
    return merged


def adamw(
    value: float, gradients: Sequence[float], *, learning_rate: float, weight_decay: float
) -> float:
    """One number after AdamW steps with betas 0.9 and 0.999 (Loshchilov and Hutter, ICLR 2019)."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        value -= learning_rate * weight_decay * value
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        value -= learning_rate * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return value
