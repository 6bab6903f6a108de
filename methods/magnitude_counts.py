"""Thresholds of vectors that come in pieces: magnitudes are counted, then the k-th is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark.methods.trimming import kept_count

if TYPE_CHECKING:
    from torch import Tensor

_DROPPED_BITS = 15  # of the 31 of a magnitude; 8 of exponent and 8 of fraction are left
_N_BINS = 1 << (31 - _DROPPED_BITS)


class MagnitudeCounts:
    """Counts of the magnitudes of T vectors, in bins of a relative width of 2^-8.

    The bits of a positive float rise with it, so that its leading bits number its bin. Memory: a
    quarter of a MiB a vector, however long it is, up to 2^31 entries.
    """

    def __init__(self, n_vectors: int, device: torch.device) -> None:
        self._counts = torch.zeros(n_vectors, _N_BINS, dtype=torch.int32, device=device)

    def add(self, rows: Tensor) -> None:
        """Count the next piece of each vector, [T, n], float32."""
        for counts, row in zip(self._counts, rows, strict=True):
            bins = row.abs().view(torch.int32) >> _DROPPED_BITS
            counts.add_(torch.bincount(bins, minlength=_N_BINS))

    def thresholds(self, density: float) -> Tensor:
        """The k-th largest magnitude of each vector, rounded down to the edge of its bin, [T].

        k is that of `taskmark.methods.trimming.kept_count`. Entries less than 2^-8 below the k-th
        are kept with it.
        """
        bins = [_N_BINS - self._place(counts, density) for counts in self._counts]
        bits = torch.tensor(bins, dtype=torch.int32, device=self._counts.device) << _DROPPED_BITS
        return bits.view(torch.float32)

    @staticmethod
    def _place(counts: Tensor, density: float) -> int:
        """The bin of the k-th largest, numbered from 1 at the largest."""
        from_above = counts.flip(0).cumsum(0)
        kept = max(1, kept_count(int(from_above[-1]), density))
        return min(_N_BINS, 1 + int(torch.searchsorted(from_above, kept)))  # the last if of nothing
