"""Measure a subject and its reference in turn within one run, and say both and their ratio.

The machine's load changes from minute to minute, so that only what is measured in turn compares.
Ratios are of CPU seconds, which neighbours disturb least; wall-clock time is printed beside them.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import torch

from taskmark.machine.costs import Spent, measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

COPIED = 50_000_000  # float32 numbers: far more than any cache holds
N_TASKS = 8
MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over the rounds; of memory, the largest rise."""

    cpu_seconds: float
    seconds: float
    peak_bytes: int = 0


def in_turn(
    benchmark: BenchmarkFixture,
    subject: Callable[[], object],
    *references: Callable[[], object],
    rounds: int = 5,
    rehearse: bool = True,
) -> list[Cost]:
    """What the subject and each reference cost, in turn.

    Args:
        benchmark: times the subject; the references run in the setup of each of its rounds.
        subject: what pytest-benchmark lists and saves.
        references: what it is compared with.
        rounds: how often each is called.
        rehearse: whether a round that does not count comes before.
    """
    functions = (subject, *references)
    for function in functions if rehearse else ():
        function()
    spent: list[list[Spent]] = [[] for _ in functions]

    def call(number: int) -> None:
        give_back()
        with measure() as cost:
            functions[number]()
        spent[number].append(cost)

    def call_references() -> None:
        for number in range(1, len(functions)):
            call(number)

    benchmark.pedantic(call, args=(0,), setup=call_references, rounds=rounds)
    found = [
        Cost(
            median(cost.cpu_seconds for cost in costs),
            median(cost.seconds for cost in costs),
            max(cost.peak_bytes for cost in costs),
        )
        for costs in spent
    ]
    benchmark.extra_info["cpu_seconds"] = [cost.cpu_seconds for cost in found]
    return found


def give_back() -> None:
    """Give freed memory back to the system, or the next call takes it without a rise."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if trim is not None:
            trim(0)


class Copy:
    """A copy from memory to memory, the yardstick of everything that memory bounds."""

    def __init__(self) -> None:
        self._source, self._target = torch.ones(COPIED), torch.empty(COPIED)

    def __call__(self) -> None:
        self._target.copy_(self._source)

    def floor(self, cost: Cost, n_bytes: int) -> Cost:
        """What moving that many bytes would have cost at the measured speed."""
        share = n_bytes / (2 * COPIED * 4)
        return Cost(share * cost.cpu_seconds, share * cost.seconds)


def say(what: str, cost: Cost, reference: Cost, *, against: str, target: str) -> None:
    """Print a cost as a multiple of its reference."""
    ratio = cost.cpu_seconds / reference.cpu_seconds
    _print(what, cost, reference, f"{ratio:.2f} x {against}", target)


def say_faster(what: str, cost: Cost, reference: Cost, *, against: str, target: str) -> None:
    """Print how many times faster something is than its reference."""
    ratio = reference.cpu_seconds / cost.cpu_seconds
    _print(what, cost, reference, f"{ratio:.1f} x as fast as {against}", target)


def _print(what: str, cost: Cost, reference: Cost, ratio: str, target: str) -> None:
    note(f"{what}: {ratio}; target {target}\n    {_seconds(cost)} against {_seconds(reference)}")


def _seconds(cost: Cost) -> str:
    return f"{cost.cpu_seconds:.4g} s CPU ({cost.seconds:.4g} s wall)"


def note(line: str) -> None:
    """Print one more figure."""
    print(f"\n{line}", end="")  # noqa: T201
