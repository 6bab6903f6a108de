"""Merging beside the memory floor: the bytes to be read and written, at the speed of a copy.

`--size 87500000` measures the size of ViT-B/32. A fresh result costs page faults, which the floor
does not know; `taskmark.contract.allocation` keeps them few.
"""

from __future__ import annotations

import shutil

import pytest
import torch
from side_by_side import MEGABYTE, N_TASKS, Copy, in_turn, note, say

import taskmark.methods
from taskmark.contract.allocation import empty

pytestmark = pytest.mark.timing

LARGEST_KEPT = 32 * MEGABYTE  # smaller blocks the allocator keeps, so that no rise is seen

# Passes over one vector that a method cannot do without: reads and writes, in vectors.
PASSES = {"task_arithmetic": N_TASKS + 1, "weight_averaging": N_TASKS + 1, "ties": 3 * N_TASKS + 2}
TARGETS = {
    "task_arithmetic": "at most 3 x",
    "weight_averaging": "at most 3 x",
    "ties": "at most 8 x",
}


@pytest.mark.parametrize("name", PASSES)
def test_merging_beside_the_memory_floor(name, given, size, benchmark):
    method, copy = taskmark.methods.get(name)(), Copy()
    cost, copied = in_turn(benchmark, lambda: method.merge(given), copy)
    floor = copy.floor(copied, PASSES[name] * size * 4)
    what = f"{name}, {N_TASKS} x {size / 1e6:g} M numbers"
    say(what, cost, floor, against=f"the floor of {PASSES[name]} passes", target=TARGETS[name])
    if size * 4 > LARGEST_KEPT:
        extra = (cost.peak_bytes - size * 4) / MEGABYTE
        note(
            f"    {extra:.1f} MiB beside the result of {size * 4 / MEGABYTE:.0f}; target at most 64"
        )


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # what torch.compile warns of is not ours
def test_compiled_task_arithmetic_beside_eager(given, size, benchmark):
    vectors, copy = given.task_vectors, Copy()
    method = taskmark.methods.get("task_arithmetic")()
    compiled = torch.compile(lambda rows, out: out.copy_(rows.sum(0)))
    fresh, eager, copied = in_turn(
        benchmark, lambda: compiled(vectors, empty(size)), lambda: method.merge(given), copy
    )
    floor = copy.floor(copied, PASSES["task_arithmetic"] * size * 4)
    against = "the floor of 9 passes"
    say("task arithmetic, compiled", fresh, floor, against=against, target="at most 2 x")
    say("task arithmetic, eager", eager, floor, against=against, target="at most 3 x")
