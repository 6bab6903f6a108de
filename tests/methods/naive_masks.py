"""The formulas of masks in plain Python: slow, in double precision, and obvious."""

from __future__ import annotations

import math

Rows = list[list[float]]


def tall_masks(rows: Rows, strictness: float) -> list[list[bool]]:
    """m_t = 1[|tau_t| >= lambda |tau_MTL - tau_t|] (Wang et al. 2024)."""
    total = [math.fsum(column) for column in zip(*rows, strict=True)]
    return [
        [abs(tau) >= strictness * abs(mtl - tau) for tau, mtl in zip(row, total, strict=True)]
        for row in rows
    ]


def consensus(rows: Rows, strictness: float, n_agreeing: int) -> list[float]:
    """tau_MTL where at least k masks are 1, else 0."""
    masks = tall_masks(rows, strictness)
    return [
        math.fsum(column) if sum(needed) >= n_agreeing else 0.0
        for column, needed in zip(zip(*rows, strict=True), zip(*masks, strict=True), strict=True)
    ]


def emr(rows: Rows) -> tuple[list[float], list[list[float]]]:
    """tau_uni, and lambda_t M_t tau_uni of each task (Huang et al. 2024)."""
    unified = []
    for column in zip(*rows, strict=True):
        elected = math.fsum(column)
        agreeing = [abs(tau) for tau in column if tau * elected > 0]
        unified.append(math.copysign(max(agreeing), elected) if agreeing else 0.0)
    served = []
    for row in rows:
        masked = [u if tau * u > 0 else 0.0 for tau, u in zip(row, unified, strict=True)]
        size = math.fsum(map(abs, masked))
        factor = math.fsum(map(abs, row)) / size if size else 1.0
        served.append([factor * value for value in masked])
    return unified, served
