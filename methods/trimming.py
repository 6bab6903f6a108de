"""Trimming a vector to its largest entries: how many, and from which magnitude on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

_CHUNK = 65_536  # entries looked at together: they stay in the cache
_SAMPLE = 16  # the bracket is guessed from this many times the root of the number of entries
_LARGE = 32_768  # entries from which on guessing pays
_CROWDED = 1 / 8  # share of the entries in the bracket at which it is given up


def kept_count(size: int, density: float) -> int:
    """How many of `size` entries a density keeps: the nearest integer, at least one.

    Halves go to the even neighbour. "At least one" keeps a tensor of few elements from vanishing;
    of nothing, nothing is kept.
    """
    return min(size, max(1, round(density * size)))


def threshold(vector: Tensor, density: float, *, scratch: Tensor) -> float:
    """The magnitude of the k-th largest entry, k = kept_count(n, density). Exact.

    Entries of exactly this magnitude are kept, so that more than k survive where it repeats.

    Args:
        vector: [n], on the CPU.
        density: share of the entries to keep, in (0, 1].
        scratch: [n], float32, contiguous, on the CPU; it may be overwritten, so that no memory
            grows with n.

    Returns:
        The threshold; 0 for an empty vector.
    """
    if not len(vector):
        return 0.0
    (found,) = magnitudes_of_rank(vector, [kept_count(len(vector), density)], scratch=scratch)
    return found


def magnitudes_of_rank(vector: Tensor, ranks: Sequence[int], *, scratch: Tensor) -> list[float]:
    """The magnitudes at some places in falling order. Exact.

    A large vector is read once: a sample guesses an interval around each, the pass counts what is
    smaller and collects what is inside, and a selection among the few collected finds it. Should
    the guess have missed, or the interval be crowded by equal entries, the selection runs over all.

    Args:
        vector: [n], on the CPU.
        ranks: the places, 1 for the largest magnitude and n for the smallest.
        scratch: as in `threshold`.
    """
    places = [len(vector) - rank for rank in ranks]  # in rising order, from 0
    found = _selected_in_brackets(vector, places) if len(vector) >= _LARGE else None
    return _selected(vector, places, scratch) if found is None else found


def just_below(magnitudes: Sequence[float]) -> list[float]:
    """The numbers next to each in float32 towards minus infinity: what exceeds them reaches it."""
    below: list[float] = np.nextafter(
        np.asarray(magnitudes, np.float32), np.float32(-np.inf)
    ).tolist()
    return below


def _selected(vector: Tensor, places: Sequence[int], scratch: Tensor) -> list[float]:
    magnitudes = torch.abs(vector, out=scratch).numpy()
    start = 0
    for place in sorted(set(places)):  # what lies before a place is not looked at again
        # One pivot, in place: several times as fast as kthvalue or sort.
        magnitudes[start:].partition(place - start)
        start = place + 1
    return [float(magnitudes[place]) for place in places]


def _selected_in_brackets(vector: Tensor, places: Sequence[int]) -> list[float] | None:
    """Select by one pass, or return None where a guessed bracket does not serve."""
    values = vector.numpy()
    sample = np.sort(np.abs(values[:: max(1, int(len(values) ** 0.5 / _SAMPLE))]))
    brackets = [_Bracket(*_around(sample, place / len(values))) for place in places]
    most = int(_CROWDED * len(values))
    room = np.empty(_CHUNK, np.float32)
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        magnitudes = np.abs(chunk, out=room[: len(chunk)])
        for bracket in brackets:
            bracket.look_at(magnitudes)
            if bracket.n_inside > most:
                return None
    if not all(map(_Bracket.holds, brackets, places)):
        return None
    return list(map(_Bracket.select_magnitude, brackets, places))


def _around(sample: NDArray[np.float32], share: float) -> tuple[float, float]:
    """Magnitudes between which the one of a rank lies almost surely, by a sorted sample."""
    margin = 4 * np.sqrt(len(sample) * share * (1 - share)) + 2  # four standard errors of the rank
    low, high = np.clip(
        [share * len(sample) - margin, share * len(sample) + margin], 0, len(sample) - 1
    )
    return float(sample[int(low)]), float(sample[int(np.ceil(high))])


@dataclass(slots=True)
class _Bracket:
    """An interval of magnitudes, its ends included, and what was seen in it and below it."""

    low: float
    high: float
    n_below: int = 0
    n_inside: int = 0
    inside: list[NDArray[np.float32]] = field(default_factory=list)

    def look_at(self, magnitudes: NDArray[np.float32]) -> None:
        reached = magnitudes >= self.low
        self.n_below += len(magnitudes) - int(np.count_nonzero(reached))
        reached &= magnitudes <= self.high
        # By indices, since picking by a mask branches at each entry.
        self.inside.append(magnitudes[np.flatnonzero(reached)])
        self.n_inside += len(self.inside[-1])

    def holds(self, place: int) -> bool:
        """Whether the magnitude at a place in rising order of all that was seen lies inside."""
        return self.n_below <= place < self.n_below + self.n_inside

    def select_magnitude(self, place: int) -> float:
        """That magnitude."""
        candidates = np.concatenate(self.inside)
        candidates.partition(place - self.n_below)
        return float(candidates[place - self.n_below])
