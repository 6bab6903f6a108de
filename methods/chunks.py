"""Walking a long vector in pieces that stay in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 262_144  # numbers of all task vectors together that are handled at once
_MULTIPLE = 4  # random numbers come four at a time, see `taskmark.methods.dropping`


def chunks(entries: slice, n_tasks: int) -> Iterator[slice]:
    """Cut a slice into pieces of which those of all task vectors together fit the cache.

    Args:
        entries: with a start and a stop.
        n_tasks: T, how many vectors are looked at together.

    Yields:
        Slices in order; all but the last have the same length, a multiple of four.
    """
    length = max(1, _BLOCK // (_MULTIPLE * n_tasks)) * _MULTIPLE
    for start in range(entries.start, entries.stop, length):
        yield slice(start, min(start + length, entries.stop))
