"""Subspace boosting: raise the small singular values of a merged task vector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.spectra import is_matrix, storage_levels, thin_svd, warn_of_rounding
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.ties import Ties

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given

_ROUNDING = 1e-12  # relative; at beta = 1 the last of the partial sums may fall short of the sum


class SubspaceBoosting(Method):
    """Add up the task vectors, then raise the singular values below a share of their sum.

    Skorobogat et al., 2025. Sums of many task vectors lose rank: a few directions hold all. For
    each weight matrix of the merged task vector:

    1. Delta = U diag(s) V^T, s_1 >= s_2 >= ...;
    2. c is the first index with s_1 + ... + s_c >= beta (s_1 + ... + s_r);
    3. the boosted matrix is U diag(max(s_i, s_c)) V^T.

    With beta = 0.01 and r in the hundreds, c is mostly 1, and all singular values become the
    largest. The result is theta0 + lambda times that, lambda searched as for task arithmetic.

    Conventions:

    - The share is of the sum of singular values, not of their squares.
    - Every part of two dimensions is such a matrix, as the backbone stores it (packed queries, keys
      and values are one); all else stays as task arithmetic makes it. (The authors' code takes
      the projections of attention and of the MLP blocks, by name, and has an option that splits
      packed matrices into queries, keys and values: cosine .94 to the packed ones.)
    - Singular values of zero become zero. (The authors' code raises arbitrary directions.) Zero is
      what the precision of the files cannot tell from it, see `taskmark.methods.spectra`.

    Attributes:
        beta: share of the sum of singular values, from the largest on, that stays as it is.
    """

    name = "subspace_boosting"
    paper = "https://arxiv.org/abs/2506.16506"
    bibtex = """@misc{skorobogat2025subspace,
  title = {Subspace-boosted model merging},
  author = {Skorobogat, Ronald and Roth, Karsten and Georgescu, Mariana-Iuliana},
  year = {2025},
  eprint = {2506.16506},
  archivePrefix = {arXiv}
}"""
    scale_range = TaskArithmetic.scale_range

    beta: float = Field(default=0.01, ge=0, le=1)

    def merge(self, given: Given) -> Tensor:
        """Return the boosted sum, [T, P] -> [P].

        Memory: the result, and for one matrix at a time about four of its size in float64.
        """
        return boost_matrices(TaskArithmetic().merge(given), given, beta=self.beta)


def boost_matrices(
    vector: Tensor, given: Given, *, beta: float, trimmed_to: float | None = None
) -> Tensor:
    """Boost every matrix of a merged vector, which is written to and returned.

    Args:
        vector: the sum of the task vectors, or what TIES makes of them, [P].
        given: the task vectors.
        beta: share of the sum of singular values before the cut.
        trimmed_to: the density of TIES; None for the sum.
    """
    for part in given.space:
        if is_matrix(part):
            matrix = vector[part.slice].view(part.shape)
            levels = storage_levels(given, part)
            # A mean is no noisier than one task, and has noise only where TIES kept entries.
            noise = max(levels) * trimmed_to**0.5 if trimmed_to else math.hypot(*levels)
            matrix.copy_(boost(matrix, beta=beta, noise=noise))
    warn_of_rounding(given)
    return vector


def boost(matrix: Tensor, *, beta: float, noise: float = 0.0) -> Tensor:
    """Raise the singular values below the cut to it, [m, n] -> [m, n], float64.

    Args:
        matrix: [m, n]; it is returned where all of it counts as zero.
        beta: share of the sum of singular values before the cut.
        noise: up to this a singular value counts as zero.
    """
    svd = thin_svd(matrix, noise=noise)
    if not len(svd.values):
        return matrix
    reached = torch.cumsum(svd.values, 0) >= beta * svd.values.sum() * (1 - _ROUNDING)
    cut = svd.values[reached.int().argmax()]
    return svd.left * svd.values.clamp(min=cut) @ svd.right.T


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
