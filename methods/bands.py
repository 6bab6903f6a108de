"""Keeping a band of magnitudes of each tensor: without its outliers and its small entries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from taskmark.contract.allocation import empty
from taskmark.methods.chunks import pieces
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
