"""Walking a long vector in pieces that stay in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_BLOCK = 262_144  # numbers of all task vectors together that are handled at once
_MULTIPLE = 4  # random numbers come four at a time, see `taskmark.methods.dare`


def chunks(entries: slice, n_tasks: int) -> Iterator[slice]:
    """Cut a slice into pieces of which those of all task vectors together fit the cache.

    Args:
        entries: with a start and a stop.
        n_tasks: T, how many vectors are looked at together.

    Yields:
        Slices in order; all but the last have the same length, a multiple of four.
    """
    length = _length(n_tasks)
    for start in range(entries.start, entries.stop, length):
        yield slice(start, min(start + length, entries.stop))


def pieces(vectors: Tensor, entries: slice) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Cut task vectors into `chunks`, and hand out memory to work in, the same for all of them.

    Fresh memory for every chunk may have to come from the system each time, which can take longer
    than what is done in it.

    Args:
        vectors: [T, P].
        entries: which of the P to walk over, with a start and a stop.

    Yields:
        The chunk; what the vectors have there, [T, n]; and [T, n] of float32, contiguous, that hold
        nothing and are overwritten with the next chunk.
    """
    n_tasks = len(vectors)
    longest = min(_length(n_tasks), entries.stop - entries.start)
    memory = torch.empty(n_tasks * longest, device=vectors.device)
    for chunk in chunks(entries, n_tasks):
        rows = vectors[:, chunk]
        yield chunk, rows, memory[: rows.numel()].view(rows.shape)


def _length(n_tasks: int) -> int:
    return max(1, _BLOCK // (_MULTIPLE * n_tasks)) * _MULTIPLE
