"""TIES merging: trim, elect a sign, and average what agrees with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import pieces
from taskmark.methods.trimming import just_below, threshold
from taskmark.methods.weighting import TaskWeights, task_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from taskmark import Given


class Ties(Method):
    """Trim the task vectors, elect a sign for every weight, and average what agrees with it.

    Yadav et al., NeurIPS 2023 (TrIm, Elect Sign & Merge). For each weight p:

    1. trim: tau'_t = tau_t where |tau_t| >= the k-th largest magnitude of the task vector, else 0;
    2. elect: gamma = sgn(sum_t tau'_t);
    3. disjoint merge: the mean of tau'_t over the tasks with sgn(tau'_t) = gamma, and 0 where
       no task agrees.

    The result is theta0 + lambda times that vector; the authors search lambda in 0.8 .. 2.5, the
    harness in 0 .. 2.

    Libraries give the name to different methods, so every convention is stated:

    - k is the nearest integer to density x n, halves to even, at least 1. (The authors' code keeps
      one entry more.)
    - Entries that equal the threshold are all kept, even if they are more than k.
    - A zero is no vote and no member of the mean, kept or not.
    - Where the trimmed entries sum to exactly zero, no sign is elected and the result is 0, as the
      formula says. (The authors' code falls back on the majority of the elected signs there.)
    - A weight w_t multiplies tau'_t after trimming, before the election: the sign is that of
      sum_t w_t tau'_t, the mean is sum w_t tau'_t / sum |w_t| over the tasks that agree with it,
      and a negative weight turns a task's vote.
    - Sums are taken in single precision, chunk by chunk, and an entry at the border of a chunk may
      be rounded otherwise than within it: where trimmed entries nearly cancel, rounding elects.

    Attributes:
        density: share of the entries that trimming keeps.
        scope: over what entries are ranked: the whole flat vector, or each tensor by itself.
        merge_function: the mean over agreeing tasks, or their sum.
        weights: of each task, in the order of `given.tasks`; all are 1 where not said.
    """

    name = "ties"
    paper = "https://arxiv.org/abs/2306.01708"
    bibtex = """@inproceedings{yadav2023ties,
  title = {{TIES}-Merging: resolving interference when merging models},
  author = {Yadav, Prateek and Tam, Derek and Choshen, Leshem and Raffel, Colin A. and
            Bansal, Mohit},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2023}
}"""
    scale_range = (0.0, 2.0)
    added_fields = ("weights",)

    density: float = Field(default=0.2, gt=0, le=1)
    scope: Literal["global", "tensor"] = "global"
    merge_function: Literal["mean", "sum"] = "mean"
    weights: TaskWeights = None

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        vectors = given.task_vectors
        weights = None if self.weights is None else task_weights(self.weights, given)
        merged = empty(vectors.shape[1], device=vectors.device)
        ranked = [slice(0, len(merged))]
        if self.scope == "tensor":
            ranked = [part.slice for part in given.space]
        for entries in ranked:
            # The slots of the result serve as scratch until the result is written there.
            scratch = merged[entries].cpu()  # no copy where it is there already
            thresholds = [
                threshold(row[entries].cpu(), self.density, scratch=scratch) for row in vectors
            ]
            for chunk, rows, room in pieces(vectors, entries):
                trimmed = trim(rows, thresholds, out=room)
                merged[chunk] = elect_and_merge(
                    trimmed, mean=self.merge_function == "mean", weights=weights
                )
        return merged


def trim(vectors: Tensor, thresholds: Sequence[float], *, out: Tensor) -> Tensor:
    """Zero what lies below each row's threshold: [T, n] -> [T, n].

    Args:
        vectors: [T, n].
        thresholds: the smallest magnitude to keep of each row, T numbers.
        out: [T, n] to write to, may be `vectors`.
    """
    for row, kept, least in zip(vectors, out, just_below(thresholds), strict=True):
        torch.hardshrink(row, least, out=kept)  # one pass where a mask takes three
    return out


def elect_and_merge(trimmed: Tensor, *, mean: bool, weights: Tensor | None = None) -> Tensor:
    """Sum or average the entries whose sign is that of their sum: [T, n] -> [n].

    Args:
        trimmed: [T, n], overwritten.
        mean: whether to divide by the number of entries that agree, or by their weights' sum.
        weights: what each row is multiplied with before, [T]; its size is the row's share in the
            mean. All are 1 where not said.
    """
    if weights is not None:
        trimmed.mul_(weights[:, None])
    sign = trimmed.sum(0).sign_()
    agreeing = trimmed.mul_(sign).relu_()  # magnitudes of the entries that agree, else 0
    total = agreeing.sum(0)
    if mean:
        share = agreeing.sign_()  # 1 where an entry agrees
        if weights is None:
            total /= share.sum(0).clamp_(min=1)
        else:
            agreed = share.mul_(weights.abs()[:, None]).sum(0)
            total /= agreed.add_(agreed == 0)
    return total.mul_(sign)
