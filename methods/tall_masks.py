"""TALL masks: the sum of task vectors, and for each task a mask that finds its own part again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Edit, Mask, Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import chunks
from taskmark.methods.masking import localise

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class Consensus(Method):
    """Keep of the sum of task vectors what at least two tasks need, and drop the rest.

    Wang et al., ICML 2024, "Consensus Merging" on task arithmetic: with tau_MTL = sum_t tau_t and
    the masks m_t = 1[|tau_t| >= lambda |tau_MTL - tau_t|], an entry survives where
    sum_t m_t >= k. What no task needs ("catastrophic" weights) and what only one needs ("selfish"
    ones) becomes zero; then theta0 + alpha m_consensus tau_MTL.

    Conventions:

    - Equality keeps an entry, as in the paper. (The authors' code asks for strictly more; entries
      that are zero in the sum do not show the difference.)
    - One lambda serves all tasks. The authors choose it for every task on validation, out of
      0.2, 0.3 ... 0.6; without data, the middle of that grid stands.
    - A single task agrees with nobody: with k = 2 its result is zero.

    Attributes:
        strictness: lambda.
        n_agreeing: k, the tasks that must need an entry.
    """

    name = "consensus"
    paper = "https://arxiv.org/abs/2405.07813"
    bibtex = """@inproceedings{wang2024localizing,
  title = {Localizing task information for improved model merging and compression},
  author = {Wang, Ke and Dimitriadis, Nikolaos and Ortiz-Jimenez, Guillermo and
            Fleuret, François and Frossard, Pascal},
  booktitle = {International Conference on Machine Learning},
  year = {2024}
}"""
    scale_range = (0.0, 1.0)

    strictness: float = Field(default=0.4, ge=0, allow_inf_nan=False)
    n_agreeing: int = Field(default=2, ge=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        vectors = given.task_vectors
        merged = empty(vectors.shape[1], device=vectors.device)
        for chunk in chunks(slice(0, vectors.shape[1]), len(vectors)):
            rows = vectors[:, chunk]
            total = rows.sum(0)
            n_needing = localise(rows, total, self.strictness).sum(0)
            merged[chunk] = total * (n_needing >= self.n_agreeing)
        return merged


class TallMasks(Method):
    """Serve each task by the sum of task vectors, cut down to the entries that the task needs.

    Wang et al., ICML 2024: theta0 + m_t tau_MTL with tau_MTL = sum_t tau_t and
    m_t = 1[|tau_t| >= lambda |tau_MTL - tau_t|]. A way to compress experts: theta0, one vector, and
    a bit for each entry and task are stored. The task must be known at inference, so that this is
    not one merged model.

    Conventions: those of `consensus`; no coefficient, as in the paper. Where the task is unknown,
    tau_MTL serves.

    Attributes:
        strictness: lambda.
    """

    name = "tall_masks"
    paper = Consensus.paper
    bibtex = Consensus.bibtex
    scale_range = None

    strictness: float = Field(default=0.4, ge=0, allow_inf_nan=False)

    def edit(self, given: Given) -> Edit:
        """Return the sum with a mask for each task; memory: the sum, T masks, a few chunks."""
        vectors = given.task_vectors
        total = empty(vectors.shape[1], device=vectors.device)
        kept = torch.empty(vectors.shape, dtype=torch.bool, device=vectors.device)
        for chunk in chunks(slice(0, vectors.shape[1]), len(vectors)):
            rows = vectors[:, chunk]
            torch.sum(rows, 0, out=total[chunk])
            kept[:, chunk] = localise(rows, total[chunk], self.strictness).bool()
        return Edit(total, masks=dict(zip(given.tasks, map(Mask, kept), strict=True)))
