"""Model breadcrumbs: keep the middle of each task vector, neither outliers nor small entries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import pieces
from taskmark.methods.ties import elect_and_merge
from taskmark.methods.trimming import just_below, kept_count, magnitudes_of_rank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from taskmark import Given


def merged_bands(
    given: Given, merge: Callable[[Tensor], Tensor], *, density: float, outliers: float
) -> Tensor:
    """Mask every tensor of every task vector to a band of magnitudes, and merge: [T, P] -> [P].

    Args:
        given: the task vectors and their layout.
        merge: of the masked entries, [T, n] -> [n]; it may write to them.
        density: share of the entries of a tensor to keep, in (0, 1].
        outliers: share of the largest entries of a tensor to cut before, in [0, 1).
    """
    vectors = given.task_vectors
    merged = empty(given.space.size, device=vectors.device)
    scratch = empty(max(part.size for part in given.space))
    for part in given.space:
        bands = [
            band(row[part.slice], density, outliers, scratch=scratch[: part.size])
            for row in vectors
        ]
        for chunk, rows, room in pieces(vectors, part.slice):
            merged[chunk] = merge(within(rows, bands, out=room))
    return merged


def band(
    vector: Tensor, density: float, outliers: float, *, scratch: Tensor
) -> tuple[float, float]:
    """The smallest and the largest magnitude to keep. Exact.

    Of n entries, floor(outliers n) of the largest are cut, or fewer where the number to keep,
    `kept_count(n, density)`, would not be left.

    Args:
        vector: [n], on any device.
        density: share of the entries to keep.
        outliers: share of the entries that are cut for being large.
        scratch: [n], float32, contiguous, on the CPU; it may be overwritten.
    """
    size = len(vector)
    if not size:
        return 0.0, 0.0
    n_kept = kept_count(size, density)
    n_cut = min(math.floor(outliers * size), size - n_kept)
    ranks = [n_cut + n_kept, n_cut + 1] if n_cut else [n_kept]
    smallest, *largest = magnitudes_of_rank(vector.cpu(), ranks, scratch=scratch)
    return smallest, largest[0] if largest else math.inf


def within(vectors: Tensor, bands: Sequence[tuple[float, float]], *, out: Tensor) -> Tensor:
    """Zero what lies outside each row's band of magnitudes, its ends included: [T, n] -> [T, n].

    Args:
        vectors: [T, n].
        bands: the smallest and the largest magnitude to keep of each row, T pairs.
        out: [T, n] to write to, other memory than that of `vectors`.
    """
    lows, highs = zip(*bands, strict=True)
    outliers = torch.empty_like(out[0])
    for row, kept, least, most in zip(vectors, out, just_below(lows), highs, strict=True):
        # Shrinking is one pass over numbers in vector registers, where a mask takes several.
        torch.hardshrink(row, least, out=kept)
        if most < math.inf:
            kept.sub_(torch.hardshrink(kept, most, out=outliers))
    return out


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
      the last dimension, and of a tensor of one dimension cuts int(beta n) of the smallest, so that
      it may keep one entry more or less of it than is kept here.)

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
    paper = Breadcrumbs.paper
    bibtex = Breadcrumbs.bibtex
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
