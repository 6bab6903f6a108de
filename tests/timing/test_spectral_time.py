"""Spectral merges beside the decompositions that their papers write, by torch in single precision.

The matrices are those of one block of ViT-S: attention's output, and the two of its MLP. Model
Stock, which decomposes nothing, stands beside the memory floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from side_by_side import Copy, in_turn, note, say

import taskmark.methods
from taskmark import Given, WeightSpace

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timing

N_TASKS = 8
WIDTH = 384
SHAPES = {
    "proj": (WIDTH, WIDTH),
    "fc1": (4 * WIDTH, WIDTH),
    "fc2": (WIDTH, 4 * WIDTH),
}
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def given() -> Given:
    """Eight task vectors of a few strong directions each, in noise."""
    generator = torch.Generator().manual_seed(0)
    space = WeightSpace.of({name: torch.empty(shape) for name, shape in SHAPES.items()})
    vectors = torch.empty(N_TASKS, space.size).normal_(std=1e-3, generator=generator)
    strengths = torch.logspace(0, -2, 32)
    for row in vectors:
        for matrix in space.unflatten(row).values():
            left = torch.randn(matrix.shape[0], 32, generator=generator)
            right = torch.randn(32, matrix.shape[1], generator=generator)
            matrix.addmm_(left * strengths, right, alpha=1e-3)
    return Given.of_weights(torch.zeros(space.size), vectors, space)


def of_each_task(matrices: torch.Tensor) -> list[torch.Tensor]:
    """Decomposed by TSV-Merge: every task's matrix, and two of the size of their leading parts."""
    rank = min(matrices.shape[1:])
    return [*matrices, matrices[0][:, :rank], matrices[0].T[:, :rank]]


DECOMPOSED: dict[str, Callable[[torch.Tensor], list[torch.Tensor]]] = {
    "tsv_m": of_each_task,
    "iso_c": lambda matrices: [matrices.sum(0)],
    "iso_cts": lambda matrices: [matrices.sum(0), *of_each_task(matrices)],
    "subspace_boosting": lambda matrices: [matrices.sum(0)],
    "knots": lambda matrices: [torch.cat(list(matrices), 1)],
}
TARGETS = dict.fromkeys(DECOMPOSED, "at most 1 x") | {"tsv_m": "at most 0.5 x", "knots": "none"}


@pytest.mark.parametrize("name", DECOMPOSED)
def test_spectral_merging_beside_the_decompositions_of_its_paper(name, given, benchmark):
    method = taskmark.methods.get(name)()
    stacked = [given.task_vectors[:, part.slice].unflatten(1, part.shape) for part in given.space]

    def decompose() -> None:
        for matrices in stacked:
            for matrix in DECOMPOSED[name](matrices):
                torch.linalg.svd(matrix, full_matrices=False)

    own, theirs = in_turn(benchmark, lambda: method.merge(given), decompose, rounds=3)
    what = f"{name}, {N_TASKS} tasks, matrices of {WIDTH} and {4 * WIDTH}"
    say(what, own, theirs, against="its SVDs alone", target=TARGETS[name])
    result = given.space.size * 4 / MEGABYTE
    note(f"    peak {own.peak_bytes / MEGABYTE:.1f} MiB with the result of {result:.1f}")


def test_model_stock_beside_the_memory_floor(size, benchmark):
    generator = torch.Generator().manual_seed(0)
    vectors = torch.empty(N_TASKS, size).normal_(std=0.01, generator=generator)
    space = WeightSpace.of({"all": vectors[0]})
    given = Given.of_weights(torch.zeros(size), vectors, space)
    method, copy = taskmark.methods.get("model_stock")(), Copy()
    own, copied = in_turn(benchmark, lambda: method.merge(given), copy)
    floor = copy.floor(copied, (2 * N_TASKS + 3) * size * 4)
    what = f"model_stock, {N_TASKS} x {size / 1e6:g} M numbers"
    say(what, own, floor, against=f"the floor of {2 * N_TASKS + 3} passes", target="at most 4 x")
