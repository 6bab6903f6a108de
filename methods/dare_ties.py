"""DARE with TIES: drop at random and rescale, then trim, elect a sign and merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import chunks, pieces
from taskmark.methods.dropping import (
    drawn_seed,
    dropped,
    rescaled,
    survivors,
    task_streams,
)
from taskmark.methods.ties import elect_and_merge, trim
from taskmark.methods.trimming import kept_count, threshold

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DareTies(Method):
    """Drop entries of the task vectors at random, rescale the rest, and merge by TIES.

    Yu et al., ICML 2024: the vectors tau'_t = (1 - m_t) tau_t / (1 - p), m_t ~ Bernoulli(p), take
    the place of the task vectors in TIES (Yadav et al., NeurIPS 2023), with its three steps.

    Conventions are those of `dare_task_arithmetic` and of `ties`, which trims over the whole
    vector. At the defaults trimming keeps all that DARE left, since a tenth survives and a fifth is
    kept: what is trimmed is zero already. (mergekit leaves trimming out, sums what agrees, and
    rescales by L1 norms; FusionBench trims.)

    Attributes:
        drop_rate: p, see `dare_task_arithmetic`.
        density: share of all entries, dropped ones included, that trimming keeps.
        merge_function: the mean over agreeing tasks, or their sum.
    """

    name = "dare_ties"
    paper = "https://arxiv.org/abs/2311.03099"
    bibtex = """@inproceedings{yu2024language,
  title = {Language models are {Super Mario}: absorbing abilities from homologous models as a free
           lunch},
  author = {Yu, Le and Yu, Bowen and Yu, Haiyang and Huang, Fei and Li, Yongbin},
  booktitle = {International Conference on Machine Learning},
  year = {2024}
}"""
    scale_range = (0.0, 2.0)

    drop_rate: float = Field(default=0.9, ge=0, lt=1)
    density: float = Field(default=0.2, gt=0, le=1)
    merge_function: Literal["mean", "sum"] = "mean"

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        seed = drawn_seed(given.generator)
        merged = empty(given.space.size, device=given.task_vectors.device)
        # Whether there is anything to trim is known once all entries had their draw.
        left = self._merge_into(merged, given, seed, thresholds=None)
        if int(left.max()) > kept_count(len(merged), self.density):
            thresholds = [
                self._threshold(row, task, seed, scratch=merged)
                for row, task in zip(given.task_vectors, given.tasks, strict=True)
            ]
            self._merge_into(merged, given, seed, thresholds=thresholds)
        return merged

    def _merge_into(
        self, merged: Tensor, given: Given, seed: int, *, thresholds: list[float] | None
    ) -> Tensor:
        """Write the result [P]; return how many entries of each task were not dropped, [T]."""
        vectors = given.task_vectors
        streams = task_streams(seed, given.tasks)
        left = torch.zeros(len(vectors), dtype=torch.float64)
        for chunk, rows, room in pieces(vectors, slice(0, len(merged))):
            mask = survivors(streams, self.drop_rate, out=room)
            left += mask.sum(1).cpu()
            kept = rescaled(mask, rows, self.drop_rate)
            if thresholds is not None:
                trim(kept, thresholds, out=kept)
            merged[chunk] = elect_and_merge(kept, mean=self.merge_function == "mean")
        return left

    def _threshold(self, vector: Tensor, task: str, seed: int, *, scratch: Tensor) -> float:
        """The magnitude from which trimming keeps what was not dropped."""
        streams = task_streams(seed, [task])
        left = scratch.cpu()
        for chunk in chunks(slice(0, len(vector)), 1):
            left[chunk] = dropped(vector[None, chunk], streams, self.drop_rate)[0]
        return threshold(left, self.density, scratch=left)
