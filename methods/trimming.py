"""Trimming a vector to its largest entries: how many, and from which magnitude on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
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

    A large vector is read once: a sample guesses an interval in which the threshold lies, the pass
    counts what is smaller and collects what is inside, and a selection among the few collected
    finds it. Should the guess have missed, or the interval be crowded by equal entries, the
    selection runs over all.

    Args:
        vector: [n], on the CPU.
        density: share of the entries to keep, in (0, 1].
        scratch: [n], float32, contiguous, on the CPU; it may be overwritten, so that no memory
            grows with n.

    Returns:
        The threshold; 0 for an empty vector.
    """
    size = len(vector)
    if not size:
        return 0.0
    rank = size - kept_count(size, density)  # the threshold's place in rising order, from 0
    found = _selected_in_bracket(vector, rank) if size >= _LARGE else None
    return _selected(vector, rank, scratch) if found is None else found


def _selected(vector: Tensor, rank: int, scratch: Tensor) -> float:
    magnitudes = torch.abs(vector, out=scratch).numpy()
    magnitudes.partition(rank)  # one pivot, in place: several times as fast as kthvalue or sort
    return float(magnitudes[rank])


def _selected_in_bracket(vector: Tensor, rank: int) -> float | None:
    """Select by one pass, or return None where the guessed bracket does not serve."""
    values = vector.numpy()
    low, high = _bracket(values, rank)
    n_below = n_inside = 0
    inside: list[NDArray[np.float32]] = []
    for start in range(0, len(values), _CHUNK):
        magnitudes = np.abs(values[start : start + _CHUNK])
        reached = magnitudes >= low
        n_below += len(magnitudes) - int(np.count_nonzero(reached))
        inside.append(magnitudes[reached & (magnitudes <= high)])
        n_inside += len(inside[-1])
        if n_inside > _CROWDED * len(values):
            return None
    if not n_below <= rank < n_below + n_inside:
        return None
    candidates = np.concatenate(inside)
    candidates.partition(rank - n_below)
    return float(candidates[rank - n_below])


def _bracket(values: NDArray[np.float32], rank: int) -> tuple[float, float]:
    """Magnitudes between which the wanted rank lies almost surely, from a strided sample."""
    sample = np.sort(np.abs(values[:: max(1, int(len(values) ** 0.5 / _SAMPLE))]))
    share = rank / len(values)
    margin = 4 * np.sqrt(len(sample) * share * (1 - share)) + 2  # four standard errors of the rank
    low, high = np.clip(
        [share * len(sample) - margin, share * len(sample) + margin], 0, len(sample) - 1
    )
    return float(sample[int(low)]), float(sample[int(np.ceil(high))])
