"""Greedy scales: a coefficient a task, found one after the other on labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from taskmark import Given


class GreedyScales(Method):
    """Search a scale for every task in turn, by the loss on labelled validation images.

    theta = theta0 + sum_t c[t] tau_t by coordinate descent on the grid: all c[t] start at zero; the
    tasks are gone through in the order of the norm of their task vectors, the largest first; each
    c[t] becomes the scale at which the sum over tasks of the cross-entropy is lowest while the
    others stay. Of equal losses the smallest scale wins. No gradient is taken. Folklore, and what a
    learned coefficient has to beat.

    The same validation images of each task serve all trials, n_images of them, drawn once from the
    80 % that learning methods learn on (see `TaskLoss`). It costs
    1 + rounds x T x (number of scales - 1) forward passes over T x n_images images, or fewer where
    a round changes nothing.

    Attributes:
        scales: the grid; it has zero, where all start.
        rounds: how often the tasks are gone through, at most.
        n_images: of each task.
    """

    name = "greedy_scales"
    track = "labelled"
    scale_range = None

    scales: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(
        default=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), min_length=1
    )
    rounds: int = Field(default=2, ge=1)
    n_images: int = Field(default=64, ge=1)

    def merge(self, given: Given) -> Tensor:
        """Return sum_t c[t] tau_t, [P].

        Memory: two more vectors [P], and the activations of a batch without a gradient.
        """
        loss = TaskLoss(given, labelled=True)
        index = next(loss.batches(self.n_images))

        def at(vector: Tensor) -> float:
            with torch.no_grad():
                return float(loss(vector, index))

        vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
        order = sorted(vectors, key=lambda task: (-float(vectors[task].norm()), task))
        found = descend([vectors[task] for task in order], at, sorted(self.scales), self.rounds)
        merged = torch.zeros_like(given.pretrained)
        for task, scale in zip(order, found, strict=True):
            merged.add_(vectors[task], alpha=scale)
        return merged


def descend(
    vectors: list[Tensor], loss: Callable[[Tensor], float], scales: list[float], rounds: int
) -> list[float]:
    """Coordinate descent on a grid of scales, from zero.

    Args:
        vectors: in the order in which they are gone through, each [P].
        loss: of sum_k c[k] vectors[k].
        scales: what each c[k] may be, rising; zero may be left whether or not it is among them.
        rounds: how often the vectors are gone through, at most.

    Returns:
        c.
    """
    current = [0.0] * len(vectors)
    lowest = loss(torch.zeros_like(vectors[0]))
    for _ in range(rounds):
        before = list(current)
        for place, vector in enumerate(vectors):
            others = torch.zeros_like(vector)
            for other, scale in zip(vectors, current, strict=True):
                if other is not vector:
                    others.add_(other, alpha=scale)
            tried = {current[place]: lowest}
            for scale in scales:
                if scale not in tried:
                    tried[scale] = loss(torch.add(others, vector, alpha=scale))
            current[place] = min(sorted(tried), key=lambda scale: tried[scale])
            lowest = tried[current[place]]
        if current == before:
            break
    return current
