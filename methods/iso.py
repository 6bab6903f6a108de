"""Isotropic merging: the sum of the task vectors with all singular values made equal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.spectra import merge_matrices, rounding_level, thin_svd
from taskmark.methods.tsv_m import orthogonal_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from taskmark import Given


class IsoC(Method):
    """Add up the task vectors and give all singular values of a matrix their mean.

    Marczak et al., ICML 2025 (isotropic merging in the common subspace). For each weight matrix:

    1. sum_t tau_t = U diag(s) V^T;
    2. the merged matrix is mean(s) U V^T.

    The result is theta0 + alpha times that; the authors search alpha in 0.1 .. 3, as the harness.

    Conventions:

    - Every part of two dimensions is such a matrix, as the backbone stores it (packed queries, keys
      and values are one); all else is averaged. (The authors' code leaves out "text_projection".)
    - Position embeddings are [1, n, d] in timm and therefore averaged. (The authors decompose the
      [n, d] of open_clip: with eight tasks the merged one has 7.7 times the norm it has here.)
    - Singular values of zero stay zero and are not counted in the mean, so that the nuclear norm of
      the sum is kept at any rank. (The authors' code counts them and raises arbitrary directions.)
      Zero is what the precision of the files cannot tell from it, see `taskmark.methods.spectra`.
    """

    name = "iso_c"
    paper = "https://arxiv.org/abs/2502.04959"
    bibtex = """@inproceedings{marczak2025notask,
  title = {No task left behind: isotropic model merging with common and task-specific subspaces},
  author = {Marczak, Daniel and Magistri, Simone and Cygert, Sebastian and
            Twardowski, Bart{\\l}omiej and Bagdanov, Andrew D. and van de Weijer, Joost},
  booktitle = {International Conference on Machine Learning},
  year = {2025}
}"""
    scale_range = (0.1, 3.0)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P].

        Memory: the result, and for one matrix at a time about four of its size in float64.
        """
        return merge_matrices(given, isotropic_sum)


def isotropic_sum(matrices: Tensor, levels: Sequence[float] = ()) -> Tensor:
    """Merge one matrix of all tasks, [T, m, n] and T levels -> [m, n], float64."""
    svd = thin_svd(exact_sum(matrices), noise=math.hypot(*levels))
    mean = svd.values.sum() / max(1, len(svd.values))
    return mean * svd.left @ svd.right.T


def exact_sum(matrices: Tensor) -> Tensor:
    """Add up in float64, [T, m, n] -> [m, n]."""
    total = matrices[0].to(torch.float64, copy=True)
    for matrix in matrices[1:]:  # torch's own sum would double all in precision at once
        total += matrix
    return total


class IsoCts(Method):
    """Join the sum's leading directions with those that each task has beside them, all equal.

    Marczak et al., ICML 2025 (isotropic merging in common and task-specific subspaces). For each
    weight matrix, with r = min(m, n) and T tasks:

    1. sum_t tau_t = U diag(s) V^T, of which the leading k components span the common subspace;
    2. tau_t - U_k U_k^T tau_t is what it lacks of task t; its n leading components are taken,
       where k + T n = r;
    3. the left vectors of all components are put side by side and replaced by the polar factor,
       and so are the right ones;
    4. the merged matrix is the product of the two times the mean of all r singular values.

    The result is theta0 + alpha times that; the authors search alpha in 0.1 .. 3, as the harness.

    Conventions:

    - Which tensors are matrices, and what counts as zero, is as in Iso-C; components of singular
      value zero are missing from the mean.
    - n is (r - floor(common_fraction r)) / T, to the nearest integer, halves to even, and at most
      r / T; then k = r - T n. This is the authors' code, but for the bound. Where n is 0, the
      method is Iso-C.
    - Where the columns that are put side by side are dependent, the polar factor is zero on what
      they lack, as in TSV-Merge.

    Attributes:
        common_fraction: share of the r components that is left to the common subspace.
    """

    name = "iso_cts"
    paper = IsoC.paper
    bibtex = IsoC.bibtex
    scale_range = (0.1, 3.0)

    common_fraction: float = Field(default=0.8, ge=0, le=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P].

        Memory: the result, and for one matrix at a time about six of its size in float64.
        """
        return merge_matrices(
            given,
            lambda matrices, levels: isotropic_union(matrices, self.common_fraction, levels),
        )


def isotropic_union(
    matrices: Tensor, common_fraction: float, levels: Sequence[float] = ()
) -> Tensor:
    """Merge one matrix of all tasks, [T, m, n] and T levels -> [m, n], float64."""
    n_own, n_common = subspace_sizes(min(matrices.shape[1:]), len(matrices), common_fraction)
    levels = levels or [0.0] * len(matrices)
    noise = math.hypot(*levels)
    common = thin_svd(exact_sum(matrices), n_common, noise=noise)
    components, noises = [common], [noise]
    for matrix, level in zip(matrices, levels, strict=True) if n_own else ():
        beside = matrix.to(torch.float64, copy=True)
        beside.addmm_(common.left, common.left.T @ beside, alpha=-1)
        # Where the common subspace holds all of a task, rounding errors are all that is left.
        own = thin_svd(beside, n_own, zero=rounding_level(matrix), noise=level)
        components.append(own)
        noises.append(level)
    values = torch.cat([svd.values for svd in components])
    mean = values.sum() / max(1, len(values))
    return orthogonal_product(components, mean.expand(len(values)), noises)


def subspace_sizes(rank: int, n_tasks: int, common_fraction: float) -> tuple[int, int]:
    """Components of each task's own and of the common subspace, n and k with k + T n = r."""
    n_own = round((rank - int(rank * common_fraction)) / n_tasks)
    n_own = min(n_own, rank // n_tasks)
    return n_own, rank - n_tasks * n_own
