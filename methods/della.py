"""DELLA: drop at random, the smaller an entry among its row the more likely, then merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.dare import STEPS, draw_seed, draws, task_streams
from taskmark.methods.ties import elect_and_merge

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


def merge_pruned(
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
    streams = task_streams(draw_seed(given.generator), given.tasks)
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


class Della(Method):
    """Drop small entries more often than large ones, elect a sign, and average what agrees.

    Deep et al. 2024 (Drop and rEscaLe via sampLing with mAgnitude). For each task:

    1. drop (MagPrune): the entries of a row are ranked by magnitude, r = 0 for the smallest of n;
       an entry is dropped with probability p_r = p + epsilon / 2 - epsilon r / (n - 1), and what
       survives is divided by 1 - p_r;
    2. elect: for each weight the sign of the sum over the tasks;
    3. fuse: the mean of the entries that have this sign.

    The result is theta0 + lambda times that vector.

    Conventions:

    - The mean of p_r over a row is p exactly, as in the authors' code. Each p_r is rounded to a
      multiple of 2^-16, and the rescaling is by what was really used.
    - A row is what belongs to one index of the first dimension, so that a convolution has one row
      for each output channel. A tensor of one dimension is one row; a row of one entry has p.
    - Of equal magnitudes the left one ranks lower.
    - Each survivor has its own factor 1 / (1 - p_r), as in the paper. (mergekit multiplies all by
      the ratio of the L1 norms before and after, and fails on rows of one entry.)
    - Election and mean are those of `ties`: a sum of exactly zero elects nothing, and the entry is
      0. (The authors' code elects the positive sign there. Of tuned float32 weights next to no sum
      is exactly zero, but where all tasks lost an entry, which is 0 either way.)
    - Each task has its own random numbers, made from the seed and the name of the task, so that the
      order of the tasks is irrelevant.

    Attributes:
        drop_rate: p; the default is that of the example in the authors' code.
        window: epsilon, the width of the probabilities; likewise.
        merge_function: the mean over agreeing tasks, or their sum.
    """

    name = "della"
    paper = "https://arxiv.org/abs/2406.11617"
    bibtex = """@article{deep2024della,
  title = {{DELLA}-Merging: reducing interference in model merging through magnitude-based
           sampling},
  author = {Deep, Pala Tej and Bhardwaj, Rishabh and Poria, Soujanya},
  journal = {arXiv:2406.11617},
  year = {2024}
}"""
    scale_range = (0.0, 2.0)

    drop_rate: float = Field(default=0.3, ge=0, lt=1)
    window: float = Field(default=0.14, ge=0, le=1)
    merge_function: Literal["mean", "sum"] = "mean"

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        check_window(self.drop_rate, self.window)
        return self

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks.

        A row is ranked as a whole, in 8 bytes an entry.
        """
        mean = self.merge_function == "mean"
        return merge_pruned(
            given,
            lambda kept: elect_and_merge(kept, mean=mean),
            drop_rate=self.drop_rate,
            window=self.window,
        )


class DellaLinear(Method):
    """Drop small entries more often than large ones, rescale the rest, and add up.

    MagPrune (Deep et al. 2024) for DARE's uniform dropping, then task arithmetic: the first step
    of DELLA without its election. The expected result is that of task arithmetic.

    Conventions are those of `della`.

    Attributes:
        drop_rate: p, the mean probability of being dropped.
        window: epsilon, between the probabilities of the smallest and the largest of a row.
    """

    name = "della_linear"
    paper = Della.paper
    bibtex = Della.bibtex
    scale_range = (0.0, 1.0)

    drop_rate: float = Field(default=0.3, ge=0, lt=1)
    window: float = Field(default=0.14, ge=0, le=1)

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        check_window(self.drop_rate, self.window)
        return self

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks.

        A row is ranked as a whole, in 8 bytes an entry.
        """
        return merge_pruned(
            given,
            lambda kept: torch.sum(kept, 0),
            drop_rate=self.drop_rate,
            window=self.window,
        )
