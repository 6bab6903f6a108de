"""The spectral papers' formulas, with numpy's own SVD in double precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.linalg as la

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

RELATIVE_ZERO = 1e-6  # singular values below this share of the largest are zero


def svd(matrix: Matrix, count: int | None = None) -> tuple[Matrix, Matrix, Matrix]:
    """U, s, V^T without the components that are zero, and of the rest the largest."""
    u, s, vt = la.svd(matrix, full_matrices=False)
    rank = int((s > RELATIVE_ZERO * max(1.0, s.max(initial=0))).sum())
    k = rank if count is None else min(rank, count)
    return u[:, :k], s[:k], vt[:k]


def polar(matrix: Matrix) -> Matrix:
    """The nearest matrix of orthonormal columns, zero on what the matrix lacks."""
    u, _, vt = svd(matrix)
    return u @ vt


def tsv_m(matrices: Sequence[Matrix]) -> Matrix:
    """Gargiulo et al., algorithm of TSV-Merge."""
    k = max(1, min(matrices[0].shape) // len(matrices))
    parts = [svd(matrix, k) for matrix in matrices]
    u = np.hstack([part[0] for part in parts])
    s = np.concatenate([part[1] for part in parts])
    v = np.hstack([part[2].T for part in parts])
    return polar(u) @ np.diag(s) @ polar(v).T


def iso_c(matrices: Sequence[Matrix]) -> Matrix:
    """Marczak et al., Iso-C."""
    u, s, vt = svd(sum(matrices))
    return (s.mean() if len(s) else 0.0) * u @ vt


def iso_cts(matrices: Sequence[Matrix], fraction: float) -> Matrix:
    """Marczak et al., Iso-CTS."""
    r, n_tasks = min(matrices[0].shape), len(matrices)
    n = min(round((r - int(r * fraction)) / n_tasks), r // n_tasks)
    u, s, vt = svd(sum(matrices), r - n_tasks * n)
    left, values, right = [u], [s], [vt.T]
    for matrix in matrices:
        own = svd(matrix - u @ u.T @ matrix, n)
        left.append(own[0])
        values.append(own[1])
        right.append(own[2].T)
    s = np.concatenate(values)
    mean = s.mean() if len(s) else 0.0
    return mean * polar(np.hstack(left)) @ polar(np.hstack(right)).T


def boosted(matrix: Matrix, beta: float) -> Matrix:
    """Skorobogat et al., subspace boosting of one matrix."""
    u, s, vt = svd(matrix)
    total = 0.0
    for value in s:
        total += value
        if total >= beta * s.sum() - 1e-9:
            return u @ np.diag(np.maximum(s, value)) @ vt
    return matrix


def model_stock(vectors: Sequence[Matrix]) -> Matrix:
    """Jang et al., the task vector of one layer."""
    n = len(vectors)
    cosines = [
        float(a @ b / (la.norm(a) * la.norm(b))) if la.norm(a) and la.norm(b) else 0.0
        for i, a in enumerate(vectors)
        for b in vectors[:i]
    ]
    cosine = max(0.0, sum(cosines) / len(cosines)) if cosines else 1.0
    return n * cosine / (1 + (n - 1) * cosine) * sum(vectors) / n
