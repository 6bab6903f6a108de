"""Model breadcrumbs with TIES: keep the middle of each task vector, elect a sign and merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from taskmark import Method
from taskmark.methods.bands import merged_bands
from taskmark.methods.ties import elect_and_merge

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class BreadcrumbsTies(Method):
    """Cut outliers and small entries from every tensor, elect a sign, and average what agrees.

    The masks of model breadcrumbs (Davari and Belilovsky, ECCV 2024) in place of the trimming of
    TIES (Yadav et al., NeurIPS 2023), whose other two steps follow. No paper proposes it: it is
    known from mergekit, which sums what agrees where this averages it, as TIES does.

    Conventions are those of `breadcrumbs` and, for the election, of `ties`.

    Attributes:
        density: share of the entries of a tensor that is kept.
        gamma: share of the largest entries that is cut.
        merge_function: the mean over agreeing tasks, or their sum.
    """

    name = "breadcrumbs_ties"
    paper = "https://arxiv.org/abs/2312.06795"
    bibtex = """@inproceedings{davari2024model,
  title = {Model breadcrumbs: scaling multi-task model merging with sparse masks},
  author = {Davari, MohammadReza and Belilovsky, Eugene},
  booktitle = {European Conference on Computer Vision},
  year = {2024}
}"""
    scale_range = (0.0, 2.0)

    density: float = Field(default=0.15, gt=0, le=1)
    gamma: float = Field(default=0.006, ge=0, lt=1)
    merge_function: Literal["mean", "sum"] = "mean"

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result, the largest tensor."""
        mean = self.merge_function == "mean"
        return merged_bands(
            given,
            lambda kept: elect_and_merge(kept, mean=mean),
            density=self.density,
            outliers=self.gamma,
        )
