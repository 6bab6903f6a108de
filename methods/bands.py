"""Keeping a band of magnitudes of each tensor: without its outliers and its small entries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from taskmark.allocation import empty
from taskmark.methods.chunks import chunks
from taskmark.methods.trimming import kept_count, threshold

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from taskmark import Given


def merged_bands(
    given: Given, merge: Callable[[Tensor], Tensor], *, density: float, outliers: float
) -> Tensor:
    """Mask every tensor of every task vector to a band of magnitudes, and merge: [T, P] -> [P].

    Args:
        given: the task vectors and their layout.
        merge: of the masked entries, [T, n] -> [n].
        density: share of the entries of a tensor to keep, in (0, 1].
        outliers: share of the largest entries of a tensor to cut before, in [0, 1).
    """
    vectors = given.task_vectors
    merged = empty(given.space.size, device=vectors.device)
    scratch = empty(max(part.size for part in given.space))
    for part in given.space:
        bands = torch.tensor(
            [
                band(row[part.slice], density, outliers, scratch=scratch[: part.size])
                for row in vectors
            ],
            device=vectors.device,
        )
        for chunk in chunks(part.slice, len(vectors)):
            merged[chunk] = merge(within(vectors[:, chunk], bands))
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
    on_cpu = vector.cpu()

    def of_rank(rank: int) -> float:  # the magnitude at this place in falling order, from 1
        return threshold(on_cpu, rank / size, scratch=scratch)

    return of_rank(n_cut + n_kept), of_rank(n_cut + 1) if n_cut else math.inf


def within(vectors: Tensor, bands: Tensor) -> Tensor:
    """Zero what lies outside each row's band, its ends included: [T, n], [T, 2] -> [T, n]."""
    # Masks are kept as 0.0 and 1.0: on float tensors every step runs on vector instructions.
    magnitudes = vectors.abs()
    kept = torch.ge(magnitudes, bands[:, :1], out=torch.empty_like(magnitudes))
    kept *= torch.le(magnitudes, bands[:, 1:], out=magnitudes)
    return kept.mul_(vectors)
