"""TALL masks: the sum of task vectors, and for each task a mask that finds its own part again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Edit, Mask, Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import chunks
from taskmark.methods.consensus import Consensus
from taskmark.methods.masking import localise

if TYPE_CHECKING:
    from taskmark import Given


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
