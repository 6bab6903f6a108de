"""Iso-C: the sum of the task vectors with all singular values made equal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from taskmark import Method
from taskmark.methods.spectra import merge_matrices, thin_svd

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
