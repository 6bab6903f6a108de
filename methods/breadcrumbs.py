"""Model breadcrumbs: keep the middle of each task vector, neither outliers nor small entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.bands import merged_bands

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class Breadcrumbs(Method):
    """Cut outliers and small entries from every tensor of the task vectors, and add up.

    Davari and Belilovsky, ECCV 2024. In each tensor by itself the mask m_t is 0 for the largest
    magnitudes and for the smallest, else 1:

        theta0 + alpha sum_t m_t * tau_t.

    Conventions:

    - Of a tensor of n entries, g = floor(gamma n) of the largest are cut, and the k that follow are
      kept, k the nearest integer to density x n (halves to even) and at least 1. So a tensor of few
      entries loses no outlier and does not vanish. (mergekit empties tensors of fewer than
      1 / density entries.)
    - Entries that equal the largest or the smallest that is kept are kept too.
    - Nothing is rescaled.
    - A tensor is ranked as a whole, as the paper says "per layer". (The authors' code ranks along
      the last dimension.)

    Attributes:
        density: share of the entries that is kept, 1 - beta - gamma in the paper's terms; the
            default is where the authors' released search starts.
        gamma: share of the largest entries that is cut; likewise.
    """

    name = "breadcrumbs"
    paper = "https://arxiv.org/abs/2312.06795"
    bibtex = """@inproceedings{davari2024model,
  title = {Model breadcrumbs: scaling multi-task model merging with sparse masks},
  author = {Davari, MohammadReza and Belilovsky, Eugene},
  booktitle = {European Conference on Computer Vision},
  year = {2024}
}"""
    scale_range = (0.0, 1.0)

    density: float = Field(default=0.15, gt=0, le=1)
    gamma: float = Field(default=0.006, ge=0, lt=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result, the largest tensor."""
        return merged_bands(
            given, lambda kept: torch.sum(kept, 0), density=self.density, outliers=self.gamma
        )
