"""Sparsifying and spherical merges beside what they cannot do without: bytes moved, rows sorted.

`--size 87500000` measures the size of ViT-B/32. Random bits have no part in the floors.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from side_by_side import Copy, in_turn, note, say

import taskmark.methods
from taskmark import Given, WeightSpace

pytestmark = pytest.mark.timing

N_TASKS = 8
WIDTH = 768
MEGABYTE = 2**20
LARGEST_KEPT = 32 * MEGABYTE  # smaller blocks the allocator keeps, so that no rise is seen

# Passes over one vector that a method cannot do without: reads and writes, in vectors.
PASSES = {
    "dare_task_arithmetic": N_TASKS + 1,
    "dare_ties": N_TASKS + 1,
    "magmax": N_TASKS + 1,
    "breadcrumbs": 2 * N_TASKS + 1,
    "breadcrumbs_ties": 2 * N_TASKS + 1,
    "slerp": 2 * N_TASKS + 3,
}
TARGETS = {"magmax": "at most 5 x"}
SORTING = ("della", "della_linear")


@pytest.fixture(scope="module")
def given(size) -> Given:
    """Square matrices, as many as the size takes, and a vector of what is left."""
    n_layers, rest = divmod(size, WIDTH * WIDTH)
    shapes = {f"layer {number}": (WIDTH, WIDTH) for number in range(n_layers)} | {"rest": (rest,)}
    with torch.device("meta"):
        space = WeightSpace.of({name: torch.empty(shape) for name, shape in shapes.items()})
    generator = torch.Generator().manual_seed(0)
    pretrained = torch.empty(size).normal_(generator=generator)
    vectors = torch.empty(N_TASKS, size).normal_(std=0.01, generator=generator)
    return Given.of_weights(pretrained, vectors, space)


@pytest.mark.parametrize("name", PASSES)
def test_merging_beside_the_memory_floor(name, given, size, benchmark):
    method, copy = taskmark.methods.get(name)(), Copy()
    cost, copied = in_turn(benchmark, lambda: method.merge(given), copy)
    floor = copy.floor(copied, PASSES[name] * size * 4)
    what = f"{name}, {N_TASKS} x {size / 1e6:g} M numbers"
    target = TARGETS.get(name, "none")
    say(what, cost, floor, against=f"the floor of {PASSES[name]} passes", target=target)
    _say_memory(cost.peak_bytes, size)


@pytest.mark.parametrize("name", SORTING)
def test_merging_beside_a_sort_of_the_rows(name, given, size, benchmark):
    method = taskmark.methods.get(name)()
    rows = [
        row[part.slice].view(part.shape).numpy()
        for row in given.task_vectors
        for part in given.space
    ]
    cost, sort = in_turn(
        benchmark, lambda: method.merge(given), lambda: [np.sort(matrix) for matrix in rows]
    )
    what = f"{name}, {N_TASKS} x {size / 1e6:g} M numbers"
    say(what, cost, sort, against="a sort of the rows", target="none")
    _say_memory(cost.peak_bytes, size)


def _say_memory(peak_bytes: int, size: int) -> None:
    if size * 4 > LARGEST_KEPT:
        extra = (peak_bytes - size * 4) / MEGABYTE
        note(
            f"    {extra:.1f} MiB beside the result of {size * 4 / MEGABYTE:.0f}; target at most 64"
        )
