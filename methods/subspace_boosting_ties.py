"""Subspace boosting after TIES instead of after task arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from taskmark import Method
from taskmark.methods.subspace_boosting import SubspaceBoosting, boost_matrices
from taskmark.methods.ties import Ties

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class SubspaceBoostingTies(Method):
    """Merge by TIES, then raise the singular values below a share of their sum.

    Skorobogat et al., 2025. TIES is the one of the row `ties`: trimmed over the whole vector,
    mean of what agrees. What is boosted and how is stated at `subspace_boosting`; what is no
    matrix stays as TIES makes it, and lambda is searched as for TIES.

    Attributes:
        density: share of the entries that TIES keeps.
        beta: share of the sum of singular values, from the largest on, that stays as it is.
    """

    name = "subspace_boosting_ties"
    paper = SubspaceBoosting.paper
    bibtex = SubspaceBoosting.bibtex
    scale_range = Ties.scale_range

    density: float = Field(default=0.2, gt=0, le=1)
    beta: float = Field(default=0.01, ge=0, le=1)

    def merge(self, given: Given) -> Tensor:
        """Return the boosted merge, [T, P] -> [P]; memory as for `subspace_boosting`."""
        merged = Ties(density=self.density).merge(given)
        return boost_matrices(merged, given, beta=self.beta, trimmed_to=self.density)
