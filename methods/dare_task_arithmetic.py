"""DARE with task arithmetic: drop most of every task vector at random, rescale, add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import pieces
from taskmark.methods.dropping import drawn_seed, dropped, task_streams

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DareTaskArithmetic(Method):
    """Drop entries of the task vectors at random, rescale the rest, and add up.

    Yu et al., ICML 2024 (Drop And REscale, section 3.2). With m_t ~ Bernoulli(p), entry by entry,

        tau'_t = (1 - m_t) tau_t / (1 - p),    theta0 + lambda sum_t tau'_t,

    so that the expected result is that of task arithmetic.

    Conventions:

    - p is cut down to a multiple of 2^-16, and the rest divided by 1 minus that.
    - Every entry of every tensor may be dropped, biases and norms too.
    - The rest is divided by 1 - p, not by the share that happened to survive. (mergekit multiplies
      by the ratio of the L1 norms instead, tensor by tensor.)
    - Each task has its own random numbers, made from the seed and the name of the task, so that the
      order of the tasks is irrelevant.

    Attributes:
        drop_rate: p; the paper finds that 0.9 costs an expert nothing, and its merges search
            0.1 .. 0.9.
    """

    name = "dare_task_arithmetic"
    paper = "https://arxiv.org/abs/2311.03099"
    bibtex = """@inproceedings{yu2024language,
  title = {Language models are {Super Mario}: absorbing abilities from homologous models as a free
           lunch},
  author = {Yu, Le and Yu, Bowen and Yu, Haiyang and Huang, Fei and Li, Yongbin},
  booktitle = {International Conference on Machine Learning},
  year = {2024}
}"""
    scale_range = (0.0, 1.0)

    drop_rate: float = Field(default=0.9, ge=0, lt=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        vectors = given.task_vectors
        streams = task_streams(drawn_seed(given.generator), given.tasks)
        merged = empty(given.space.size, device=vectors.device)
        for chunk, rows, room in pieces(vectors, slice(0, len(merged))):
            kept = dropped(rows, streams, self.drop_rate, out=room)
            torch.sum(kept, 0, out=merged[chunk])
        return merged
