"""MagPrune: drop at random, the smaller an entry among its row, the more likely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from taskmark.contract.allocation import empty
from taskmark.methods.dropping import STEPS, drawn_seed, draws, task_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.random import BitGenerator
    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark import Given
    from taskmark.contract.weights import Part

_BLOCK = 16_384  # entries of one task vector that are ranked together, in whole rows
_COLUMN = np.uint64(2**32 - 1)  # the low bits of a key


def check_window(drop_rate: float, window: float) -> None:
    """Refuse drop probabilities outside [0, 1).

    Raises:
        ValueError: if drop_rate - window / 2 is negative or drop_rate + window / 2 reaches 1.
    """
    if drop_rate - window / 2 < 0 or drop_rate + window / 2 >= 1:
        raise ValueError(
            f"drop_rate -+ window / 2 goes from {drop_rate - window / 2:g} to "
            f"{drop_rate + window / 2:g}, but probabilities of being dropped lie in [0, 1); "
            "choose a smaller window."
        )


def merged_pruned(
    given: Given, merge: Callable[[Tensor], Tensor], *, drop_rate: float, window: float
) -> Tensor:
    """Prune every row of every tensor of every task vector, and merge: [T, P] -> [P].

    Args:
        given: the task vectors and their layout.
        merge: of the pruned entries, [T, n] -> [n].
        drop_rate: p, the mean probability of being dropped.
        window: epsilon, between the probabilities of the smallest and the largest of a row.
    """
    vectors = given.task_vectors
    streams = task_streams(drawn_seed(given.generator), given.tasks)
    merged = empty(given.space.size, device=vectors.device)
    for part in given.space:
        if not part.size:
            continue
        width = _row_length(part)
        probabilities = drop_probabilities(width, drop_rate, window)
        for block in _row_blocks(part, width):
            rows = vectors[:, block].cpu().reshape(len(vectors), -1, width)
            pruned = magprune(rows, probabilities, streams).flatten(1)
            merged[block] = merge(pruned.to(vectors.device))
    return merged


def drop_probabilities(width: int, drop_rate: float, window: float) -> Tensor:
    """The probabilities p_r of the ranks r = 0 .. n - 1 of rising magnitude, [n], float64.

    They fall in equal steps from p + epsilon / 2 for the smallest to p - epsilon / 2 for the
    largest; a single entry has p. Each is rounded to a multiple of 2^-16 below 1.
    """
    rank = torch.linspace(0, 1, width, dtype=torch.float64) if width > 1 else torch.tensor([0.5])
    steps = (drop_rate + window * (0.5 - rank.double())) * STEPS
    return steps.round_().clamp_(0, STEPS - 1) / STEPS


def magprune(rows: Tensor, probabilities: Tensor, streams: Sequence[BitGenerator]) -> Tensor:
    """Drop each entry with the probability of its rank in its row, and rescale the rest.

    Args:
        rows: [T, R, n], on the CPU; not written to.
        probabilities: p_r by rank, as `drop_probabilities` gives them, [n].
        streams: one a task; they move on by R n draws.

    Returns:
        A new tensor [T, R, n].
    """
    by_rank = torch.empty(rows.shape)
    first_kept = (probabilities * STEPS - STEPS // 2).to(torch.int16)
    # Draws are independent of each other, so that they may be dealt out in the order of the ranks.
    for some, stream in zip(by_rank, streams, strict=True):
        drawn = torch.from_numpy(draws(stream, some.numel())).view(some.shape)
        torch.ge(drawn, first_kept, out=some)  # 0.0 and 1.0, on vector instructions
    by_rank *= (1 - probabilities).reciprocal().float()
    columns = torch.from_numpy(columns_by_rank(rows.flatten(0, 1))).view(rows.shape)
    return torch.empty(rows.shape).scatter_(2, columns, by_rank).mul_(rows)


def columns_by_rank(rows: Tensor) -> NDArray[np.int64]:
    """The columns of each row in the order of rising magnitude: [R, n] -> [R, n].

    Of equal magnitudes the left one comes first.
    """
    # The bits of non-negative floats are in the order of their values. With the column below them
    # they make keys that are all different, and sorting keys is far quicker than an argsort.
    magnitudes = rows.abs().contiguous().numpy().view(np.uint32)
    keys = magnitudes.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(rows.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    keys &= _COLUMN
    return keys.view(np.int64)


def _row_length(part: Part) -> int:
    """A row is what one output of a layer is made of; a tensor of one dimension is one row."""
    if len(part.shape) < 2:  # noqa: PLR2004 - a vector or a scalar has no rows
        return part.size
    return part.size // part.shape[0]


def _row_blocks(part: Part, width: int) -> Iterator[slice]:
    length = max(1, _BLOCK // width) * width
    stop = part.start + part.size
    for start in range(part.start, stop, length):
        yield slice(start, min(start + length, stop))
