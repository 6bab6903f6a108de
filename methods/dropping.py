"""Dropping entries of task vectors at random: where the bits come from, and the masks they make.

A draw is an integer of 16 bits, since bits are what dropping costs most. So probabilities are
multiples of 2^-16; what survives is rescaled by the probability that was really used, and the
expectation is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import BitGenerator
    from numpy.typing import NDArray
    from torch import Tensor

STEPS = 2**16
"""How many values a draw can take."""

_DRAWS_A_WORD = 4  # the streams give words of 64 bits


def drawn_seed(generator: torch.Generator) -> int:
    """Draw a seed of 63 bits."""
    return int(torch.randint(2**63 - 1, (), generator=generator))


def task_streams(seed: int, tasks: Sequence[str]) -> list[BitGenerator]:
    """One stream of random bits a task, made from the seed and the name of the task.

    So the order of the tasks changes nothing, and the same streams can be made twice. They are
    SFC64 (Doty-Humphrey's small fast chaotic generator), several times as fast as torch's own,
    and its raw output is the same in every version of numpy.
    """
    return [np.random.SFC64([seed, *task.encode()]) for task in tasks]


def draws(stream: BitGenerator, count: int) -> NDArray[np.int16]:
    """Integers [count], uniform in -2^15 .. 2^15 - 1; up to three draws behind them are lost."""
    words: NDArray[np.uint64] = stream.random_raw(-(-count // _DRAWS_A_WORD))
    return words.view(np.int16)[:count]


def dropped(
    vectors: Tensor,
    streams: Sequence[BitGenerator],
    drop_rate: float,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Drop each entry with probability p and divide the rest by 1 - p: [T, n] -> [T, n].

    Args:
        vectors: a chunk of the task vectors, on any device; not written to.
        streams: one a task; they move on by n draws.
        drop_rate: p in [0, 1), cut down to a multiple of 2^-16.
        out: [T, n] to write to, float32; a new tensor where not said.
    """
    room = torch.empty_like(vectors) if out is None else out
    return rescaled(survivors(streams, drop_rate, out=room), vectors, drop_rate)


def survivors(streams: Sequence[BitGenerator], drop_rate: float, *, out: Tensor) -> Tensor:
    """Draw what is not dropped, 1 - m with m ~ Bernoulli(p), as 0.0 and 1.0: [T, n].

    Args:
        streams: one a task; they move on by n draws.
        drop_rate: p in [0, 1), cut down to a multiple of 2^-16.
        out: [T, n] to write to, float32, on any device.
    """
    kept = out.cpu()  # no copy where it is there already
    least = _first_kept(drop_rate) - STEPS // 2
    for row, stream in zip(kept.numpy(), streams, strict=True):
        # As numbers, since arithmetic with them runs on vector instructions.
        np.greater_equal(draws(stream, len(row)), least, out=row, casting="unsafe")
    return out.copy_(kept)


def rescaled(kept: Tensor, vectors: Tensor, drop_rate: float) -> Tensor:
    """Drop entries and divide the rest by 1 - p: [T, n] -> [T, n].

    Yu et al. 2024, section 3.2: (1 - m) * delta / (1 - p).

    Args:
        kept: what `survivors` drew, overwritten with the result.
        vectors: a chunk of the task vectors.
        drop_rate: the one of `survivors`.
    """
    return kept.mul_(vectors).mul_(STEPS / (STEPS - _first_kept(drop_rate)))


def _first_kept(drop_rate: float) -> int:
    """How many of the values of a draw lead to dropping."""
    return int(drop_rate * STEPS)
