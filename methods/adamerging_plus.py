"""AdaMerging++: AdaMerging on task vectors from which TIES has taken what conflicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.adamerging import AdaMerging
from taskmark.methods.adaptation import Adaptation
from taskmark.methods.chunks import chunks, pieces
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

        Memory: two vectors [P] beside it, see `descent`; a byte an entry for the elected signs, and
        the largest tensor once for each task.
        """
        return self.adapted(given, Agreeing.of(given.task_vectors, self.density), "tensor")


@dataclass(frozen=True, slots=True)
class Agreeing:
    """Phi(tau_t), [T, P]: what is among the largest of its row and has the sign elected by all.

    Entries are made when they are looked at, since all of them would be as large as the task
    vectors.

    Attributes:
        vectors: tau, [T, P].
        thresholds: the smallest magnitude that each row keeps, T numbers.
        signs: what is elected, -1, 0 or 1, [P], int8.
    """

    vectors: Tensor
    thresholds: tuple[float, ...]
    signs: Tensor

    @classmethod
    def of(cls, vectors: Tensor, density: float) -> Agreeing:
        """Rank each row and elect the signs.

        Args:
            vectors: one row a task, [T, P].
            density: share of the entries that each row keeps before signs are elected.
        """
        scratch = torch.empty(vectors.shape[1])  # thresholds are found on the CPU
        thresholds = tuple(threshold(row.cpu(), density, scratch=scratch) for row in vectors)
        signs = torch.empty_like(vectors[0], dtype=torch.int8)
        for chunk, rows, room in pieces(vectors, slice(0, vectors.shape[1])):
            signs[chunk] = trim(rows, thresholds, out=room).sum(0).sign_()
        return cls(vectors, thresholds, signs)

    @property
    def shape(self) -> torch.Size:
        """T and P."""
        return self.vectors.shape

    def __getitem__(self, index: tuple[slice, slice | Tensor], /) -> Tensor:
        """The same entries of some rows, [T, n]."""
        which, entries = index
        rows, signs = self.vectors[which, entries], self.signs[entries]
        kept = torch.empty_like(rows)
        for chunk in chunks(slice(0, rows.shape[1]), len(rows)):
            sign = signs[chunk].float()
            trimmed = trim(rows[:, chunk], self.thresholds[which], out=kept[:, chunk])
            trimmed.mul_(sign).relu_().mul_(sign)
        return kept
