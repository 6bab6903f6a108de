"""The geometry of task vectors: lengths, angles, and how often their signs disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from taskmark.records.record import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 1 << 20


def geometry(merged: Tensor, task_vectors: Tensor, tasks: Sequence[str]) -> Geometry:
    """Measure a merged vector beside the task vectors it came from.

    Args:
        merged: scale times the merged task vector, [P].
        task_vectors: [T, P].
        tasks: T names.

    Returns:
        L2 norms; the cosine of every two task vectors and its mean over pairs (0 for a vector of
        zeros, and the mean of a single task); the share of entries in which at least two task
        vectors have opposite signs. Sums are taken in float64.
    """
    n_tasks = len(task_vectors)
    gram = torch.zeros(n_tasks, n_tasks, dtype=torch.float64)
    conflicts = 0
    for chunk in torch.split(task_vectors, _CHUNK, dim=1):
        exact = chunk.double()
        gram += exact @ exact.T
        conflicts += int(((chunk > 0).any(0) & (chunk < 0).any(0)).sum())
    norms = gram.diagonal().sqrt()
    cosines = gram / (norms[:, None] * norms[None, :]).clamp_min(torch.finfo(torch.float64).tiny)
    above = torch.triu_indices(n_tasks, n_tasks, offset=1)
    pairs = cosines[above[0], above[1]]
    return Geometry(
        merged_norm=float(torch.linalg.vector_norm(merged, dtype=torch.float64)),
        task_vector_norms={task: float(norm) for task, norm in zip(tasks, norms, strict=True)},
        cosines=tuple(tuple(row) for row in cosines.tolist()),
        mean_cosine=float(pairs.mean()) if len(pairs) else 0.0,
        sign_conflicts=conflicts / task_vectors.shape[1],
    )
