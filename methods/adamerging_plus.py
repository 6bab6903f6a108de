"""AdaMerging++: AdaMerging on task vectors from which TIES has taken what conflicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.adamerging import AdaMerging
from taskmark.methods.adaptation import Adaptation
from taskmark.methods.chunks import pieces
from taskmark.methods.ties import trim
from taskmark.methods.trimming import threshold

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class AdaMergingPlus(Adaptation, Method):
    """Learn layer-wise coefficients of task vectors that are trimmed and agree in sign.

    Yang et al., ICLR 2024, layer-wise AdaMerging++: theta = theta0 + sum_t c[t, l] Phi(tau_t) in
    layer l. Phi is what TIES does before it merges: it keeps the largest entries of each task
    vector, elects the sign of their sum, and drops the entries of the other sign.

    Conventions are those of `adamerging` for learning, and those of `ties` for Phi: trimming is
    over the whole vector, entries that equal the threshold are kept, and where the kept entries sum
    to exactly zero, no sign is elected and all are dropped.

    Attributes:
        density: share of the entries that trimming keeps.
    """

    name = "adamerging_plus"
    paper = AdaMerging.paper
    bibtex = AdaMerging.bibtex
    track = "unlabelled"
    scale_range = None

    density: float = Field(default=0.2, gt=0, le=1)

    def merge(self, given: Given) -> Tensor:
        """Return sum_t c[t, i] Phi(tau_t), [P].

        Memory: a second set of task vectors, and a few vectors [P] for the gradient.
        """
        return self.adapted(given, agreeing(given.task_vectors, self.density), "tensor")


def agreeing(vectors: Tensor, density: float) -> Tensor:
    """Keep what is among the largest of its row and has the sign elected by all: [T, P] -> [T, P].

    Args:
        vectors: one row a task.
        density: share of the entries that each row keeps before signs are elected.
    """
    kept = torch.empty_like(vectors)
    scratch = torch.empty(vectors.shape[1])  # thresholds are found on the CPU
    thresholds = [threshold(row.cpu(), density, scratch=scratch) for row in vectors]
    for chunk, rows, room in pieces(vectors, slice(0, vectors.shape[1])):
        trimmed = trim(rows, thresholds, out=room)
        sign = trimmed.sum(0).sign_()
        torch.mul(trimmed.mul_(sign).relu_(), sign, out=kept[:, chunk])
    return kept
