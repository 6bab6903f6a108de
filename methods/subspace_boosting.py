"""Subspace boosting: raise the small singular values of a merged task vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.spectra import is_matrix, thin_svd
from taskmark.methods.task_arithmetic import TaskArithmetic

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given, WeightSpace

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
      the projections of attention and of the MLP blocks, by name.)
    - Singular values of zero stay zero. (The authors' code raises arbitrary directions.) Zero is
      what float32 cannot tell from it, see `taskmark.methods.spectra`.

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
        return boost_matrices(TaskArithmetic().merge(given), given.space, beta=self.beta)


def boost_matrices(vector: Tensor, space: WeightSpace, *, beta: float) -> Tensor:
    """Boost every matrix of a vector [P], which is written to and returned."""
    for part in space:
        if is_matrix(part):
            matrix = vector[part.slice].view(part.shape)
            matrix.copy_(boosted(matrix, beta=beta))
    return vector


def boosted(matrix: Tensor, *, beta: float) -> Tensor:
    """Raise the singular values below the cut to it, [m, n] -> [m, n], float64."""
    svd = thin_svd(matrix)
    if not len(svd.values):
        return matrix
    reached = torch.cumsum(svd.values, 0) >= beta * svd.values.sum() * (1 - _ROUNDING)
    cut = svd.values[reached.int().argmax()]
    return svd.left * svd.values.clamp(min=cut) @ svd.right.T
