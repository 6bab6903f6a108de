"""DELLA without election: MagPrune, then task arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import torch
from pydantic import Field, model_validator

from taskmark import Method
from taskmark.methods.magprune import check_window, merged_pruned

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DellaLinear(Method):
    """Drop small entries more often than large ones, rescale the rest, and add up.

    MagPrune (Deep et al. 2024) for DARE's uniform dropping, then task arithmetic: the first step
    of DELLA without its election. The expected result is that of task arithmetic.

    Conventions are those of `della`.

    Attributes:
        drop_rate: p, the mean probability of being dropped.
        window: epsilon, between the probabilities of the smallest and the largest of a row.
    """

    name = "della_linear"
    paper = "https://arxiv.org/abs/2406.11617"
    bibtex = """@article{deep2024della,
  title = {{DELLA}-Merging: reducing interference in model merging through magnitude-based
           sampling},
  author = {Deep, Pala Tej and Bhardwaj, Rishabh and Poria, Soujanya},
  journal = {arXiv:2406.11617},
  year = {2024}
}"""
    scale_range = (0.0, 1.0)

    drop_rate: float = Field(default=0.3, ge=0, lt=1)
    window: float = Field(default=0.14, ge=0, le=1)

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        check_window(self.drop_rate, self.window)
        return self

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks.

        A row is ranked as a whole, in 8 bytes an entry.
        """
        return merged_pruned(
            given,
            lambda kept: torch.sum(kept, 0),
            drop_rate=self.drop_rate,
            window=self.window,
        )
