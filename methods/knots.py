"""KnOTS: TIES after all task vectors are turned into one basis that they share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.magnitude_counts import MagnitudeCounts
from taskmark.methods.spectra import (
    is_matrix,
    joint_basis,
    storage_levels,
    warn_of_rounding,
)
from taskmark.methods.ties import Ties, elect_and_merge, trim

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given
    from taskmark.contract.weights import Part

_COLUMNS = 64  # columns of all task vectors that are aligned at once, or a multiple of it
_ENTRIES = 65_536  # of one task vector: fewer at once, and the bins take longer than the counting


class Knots(Method):
    """Merge by TIES in the singular basis that the task vectors of each matrix share.

    Stoica et al., ICLR 2025 (KnOTS-TIES), for low-rank updates there. For each weight matrix:

    1. [tau_1 ... tau_T] = U diag(s) [V_1^T ... V_T^T], a decomposition of all, side by side;
    2. TIES merges the aligned task vectors diag(s) V_t^T = U^T tau_t, trimmed over all tensors
       together;
    3. the merged matrix is U times the result.

    The result is theta0 + lambda times that, lambda searched as for TIES.

    Conventions:

    - The matrices [m, n], outputs times inputs, are as the backbone stores them (packed queries,
      keys and values are one), side by side along the inputs. A tensor of another number of
      dimensions is one row, for which alignment changes nothing: it takes part in TIES as it is.
    - diag(s) is merged with V_t, as in the authors' code; the paper writes V_t alone.
    - Directions of singular value zero are left out and not counted in what trimming keeps. Zero is
      what the precision of the files cannot tell from it, see `taskmark.methods.spectra`; where
      changes are near that, a warning says so. (The
      authors' code takes for zero what is below 1e-5, whatever the size of the task vectors.)
    - Where singular values are equal, their basis is arbitrary, and TIES depends on it.
    - Trimming is that of TIES, but entries that are less than 2^-8 below the threshold are kept.

    Attributes:
        density: share of the aligned entries that trimming keeps.
        merge_function: the mean over agreeing tasks, or their sum.
    """

    name = "knots"
    paper = "https://arxiv.org/abs/2410.19735"
    bibtex = """@inproceedings{stoica2025model,
  title = {Model merging with {SVD} to tie the {KnOTS}},
  author = {Stoica, George and Ramesh, Pratik and Ecsedi, Boglarka and Choshen, Leshem and
            Hoffman, Judy},
  booktitle = {International Conference on Learning Representations},
  year = {2025}
}"""
    scale_range = Ties.scale_range

    density: float = Field(default=0.2, gt=0, le=1)
    merge_function: Literal["mean", "sum"] = "mean"

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P].

        Memory: the result, a quarter of a MiB a task, and for one matrix [m, n] at a time about
        four of the size m x m in float64. So as not to keep the bases, each is computed twice: once
        to find the thresholds, and once to merge.
        """
        vectors = given.task_vectors
        merged = empty(vectors.shape[1], device=vectors.device)
        magnitudes = MagnitudeCounts(len(vectors), vectors.device)
        for part in given.space:
            matrices = _as_matrices(vectors, part)
            basis = _basis(given, part, matrices)
            for columns in torch.split(matrices, _n_columns(matrices), 2):
                magnitudes.add(align(columns, basis).flatten(1))
        thresholds = magnitudes.thresholds(self.density).tolist()
        for part in given.space:
            matrices = _as_matrices(vectors, part)
            basis = _basis(given, part, matrices)
            n_columns = _n_columns(matrices)
            targets = torch.split(merged[part.slice].view(matrices.shape[1:]), n_columns, 1)
            for columns, target in zip(torch.split(matrices, n_columns, 2), targets, strict=True):
                aligned = align(columns, basis).flatten(1)
                trimmed = trim(aligned, thresholds, out=aligned)
                chosen = elect_and_merge(trimmed, mean=self.merge_function == "mean")
                target.copy_(basis @ chosen.view(basis.shape[1], target.shape[1]))
        warn_of_rounding(given)
        return merged


def align(columns: Tensor, basis: Tensor) -> Tensor:
    """U^T tau_t of some columns of one matrix of all tasks: [T, m, c], [m, r] -> [T, r, c]."""
    return torch.einsum("mr,tmc->trc", basis, columns).contiguous()


def _basis(given: Given, part: Part, matrices: Tensor) -> Tensor:
    """U, [m, r], float32."""
    noise = math.hypot(*storage_levels(given, part)) if is_matrix(part) else 0.0
    return joint_basis(matrices, noise=noise).float()


def _n_columns(matrices: Tensor) -> int:
    """How many columns of [T, m, n] are aligned at once."""
    return max(1, _ENTRIES // (_COLUMNS * max(1, matrices.shape[1]))) * _COLUMNS


def _as_matrices(vectors: Tensor, part: Part) -> Tensor:
    """One part of all task vectors, [T, P] -> [T, m, n]; [T, 1, n] where it is no matrix."""
    shape = part.shape if is_matrix(part) else (1, part.size)
    return vectors[:, part.slice].reshape(len(vectors), *shape)
