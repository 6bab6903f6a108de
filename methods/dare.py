"""DARE: drop most of every task vector at random, rescale the rest, and add up or merge by TIES.

A draw is an integer of 16 bits, since bits are what dropping costs most. So probabilities are
multiples of 2^-16; what survives is rescaled by the probability that was really used, and the
expectation is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import chunks, pieces
from taskmark.methods.ties import elect_and_merge, trim
from taskmark.methods.trimming import kept_count, threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import BitGenerator
    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark import Given

STEPS = 2**16
"""How many values a draw can take."""

_DRAWS_A_WORD = 4  # the streams give words of 64 bits


def draw_seed(generator: torch.Generator) -> int:
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


def drop(
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
    return rescale(survivors(streams, drop_rate, out=room), vectors, drop_rate)


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


def rescale(kept: Tensor, vectors: Tensor, drop_rate: float) -> Tensor:
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


class DareTaskArithmetic(Method):
    """Drop entries of the task vectors at random, rescale the rest, and add up.

    Yu et al., ICML 2024 (Drop And REscale, section 3.2). With m_t ~ Bernoulli(p), entry by entry,

        tau'_t = (1 - m_t) tau_t / (1 - p),    theta0 + lambda sum_t tau'_t,

    so that the expected result is that of task arithmetic.

    Conventions:

    - p is cut down to a multiple of 2^-16, and the rest divided by 1 minus that.
    - Every entry of every tensor may be dropped, biases and norms too.
    - The rest is divided by 1 - p, not by the share that happened to survive. (mergekit multiplies
      by the ratio of the L1 norms instead, tensor by tensor.)
    - Each task has its own random numbers, made from the seed and the name of the task, so that the
      order of the tasks is irrelevant.

    Attributes:
        drop_rate: p; the paper finds that 0.9 costs an expert nothing, and its merges search
            0.1 .. 0.9.
    """

    name = "dare_task_arithmetic"
    paper = "https://arxiv.org/abs/2311.03099"
    bibtex = """@inproceedings{yu2024language,
  title = {Language models are {Super Mario}: absorbing abilities from homologous models as a free
           lunch},
  author = {Yu, Le and Yu, Bowen and Yu, Haiyang and Huang, Fei and Li, Yongbin},
  booktitle = {International Conference on Machine Learning},
  year = {2024}
}"""
    scale_range = (0.0, 1.0)

    drop_rate: float = Field(default=0.9, ge=0, lt=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        vectors = given.task_vectors
        streams = task_streams(draw_seed(given.generator), given.tasks)
        merged = empty(given.space.size, device=vectors.device)
        for chunk, rows, room in pieces(vectors, slice(0, len(merged))):
            kept = drop(rows, streams, self.drop_rate, out=room)
            torch.sum(kept, 0, out=merged[chunk])
        return merged


class DareTies(Method):
    """Drop entries of the task vectors at random, rescale the rest, and merge by TIES.

    Yu et al., ICML 2024: the vectors tau'_t = (1 - m_t) tau_t / (1 - p), m_t ~ Bernoulli(p), take
    the place of the task vectors in TIES (Yadav et al., NeurIPS 2023), with its three steps.

    Conventions are those of `dare_task_arithmetic` and of `ties`, which trims over the whole
    vector. At the defaults trimming keeps all that DARE left, since a tenth survives and a fifth is
    kept: what is trimmed is zero already. (mergekit leaves trimming out, sums what agrees, and
    rescales by L1 norms; FusionBench trims.)

    Attributes:
        drop_rate: p, see `dare_task_arithmetic`.
        density: share of all entries, dropped ones included, that trimming keeps.
        merge_function: the mean over agreeing tasks, or their sum.
    """

    name = "dare_ties"
    paper = DareTaskArithmetic.paper
    bibtex = DareTaskArithmetic.bibtex
    scale_range = (0.0, 2.0)

    drop_rate: float = Field(default=0.9, ge=0, lt=1)
    density: float = Field(default=0.2, gt=0, le=1)
    merge_function: Literal["mean", "sum"] = "mean"

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        seed = draw_seed(given.generator)
        merged = empty(given.space.size, device=given.task_vectors.device)
        # Whether there is anything to trim is known once all entries had their draw.
        left = self._merge_into(merged, given, seed, thresholds=None)
        if int(left.max()) > kept_count(len(merged), self.density):
            thresholds = [
                self._threshold(row, task, seed, scratch=merged)
                for row, task in zip(given.task_vectors, given.tasks, strict=True)
            ]
            self._merge_into(merged, given, seed, thresholds=thresholds)
        return merged

    def _merge_into(
        self, merged: Tensor, given: Given, seed: int, *, thresholds: list[float] | None
    ) -> Tensor:
        """Write the result [P]; return how many entries of each task were not dropped, [T]."""
        vectors = given.task_vectors
        streams = task_streams(seed, given.tasks)
        left = torch.zeros(len(vectors), dtype=torch.float64)
        for chunk, rows, room in pieces(vectors, slice(0, len(merged))):
            mask = survivors(streams, self.drop_rate, out=room)
            left += mask.sum(1).cpu()
            kept = rescale(mask, rows, self.drop_rate)
            if thresholds is not None:
                trim(kept, thresholds, out=kept)
            merged[chunk] = elect_and_merge(kept, mean=self.merge_function == "mean")
        return left

    def _threshold(self, vector: Tensor, task: str, seed: int, *, scratch: Tensor) -> float:
        """The magnitude from which trimming keeps what was not dropped."""
        streams = task_streams(seed, [task])
        left = scratch.cpu()
        for chunk in chunks(slice(0, len(vector)), 1):
            left[chunk] = drop(vector[None, chunk], streams, self.drop_rate)[0]
        return threshold(left, self.density, scratch=left)
