"""The median merge: every weight moves as the task in the middle would move it."""

import torch
from pydantic import Field
from torch import Tensor

from taskmark import Given, Method


class Median(Method):
    """Take the coordinate-wise median of the task vectors, or a mean of those in the middle.

    The entries of each weight are sorted over the tasks, the `trim` share at either end is left
    out, and the rest is averaged; with a share of 1/2 that is the median (of an even number of
    tasks, the mean of the two in the middle).

    Attributes:
        trim: the share of the tasks that is left out at either end, rounded down.
    """

    name = "median"
    scale_range = (0.0, 4.0)
    keeps_direction = True

    trim: float = Field(default=0.5, ge=0, le=0.5)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: a copy of the largest tensor."""
        merged = torch.empty_like(given.task_vectors[0])
        for part in given.space:  # tensor by tensor, so that no copy of all vectors is made
            merged[part.slice] = trimmed_mean(given.task_vectors[:, part.slice], self.trim)
        return merged


def trimmed_mean(vectors: Tensor, trim: float) -> Tensor:
    """Mean over the tasks without the extremes of each entry: [T, n] -> [n]."""
    n_tasks = len(vectors)
    left_out = min(int(trim * n_tasks), (n_tasks - 1) // 2)  # one or two of them stay
    ordered = vectors.sort(0).values
    return ordered[left_out : n_tasks - left_out].mean(0)
