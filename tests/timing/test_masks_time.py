"""Masks, learnt merges and alignment, each beside the work that it cannot do without."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from side_by_side import MEGABYTE, N_TASKS, Copy, in_turn, note, say

import taskmark.methods
from taskmark import Given, WeightSpace

pytestmark = pytest.mark.timing

WIDTH = 384  # of ViT-S, whose block has the weights below

# Reads and writes over one vector; a mask of all tasks is T bytes where a vector has four.
PASSES = {
    "consensus": N_TASKS + 1,
    "tall_masks": N_TASKS + 1 + N_TASKS / 4,
    "emr": N_TASKS + 1 + N_TASKS / 4,
}


@pytest.mark.parametrize("name", PASSES)
def test_masking_beside_the_memory_floor(name, given, size, benchmark):
    method, copy = taskmark.methods.get(name)(), Copy()
    cost, copied = in_turn(benchmark, lambda: method.edit(given), copy)
    floor = copy.floor(copied, int(PASSES[name] * size * 4))
    what = f"{name}, {N_TASKS} x {size / 1e6:g} M numbers"
    say(what, cost, floor, against=f"the floor of {PASSES[name]:g} passes", target="at most 10 x")
    note(f"    peak {cost.peak_bytes / MEGABYTE:.1f} MiB; the vector is {size * 4 / MEGABYTE:.0f}")


@pytest.fixture(scope="module")
def block() -> Given:
    """The weights of one block of ViT-S, 1.8 M numbers."""
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "attn.qkv.weight": (3 * WIDTH, WIDTH),
        "attn.proj.weight": (WIDTH, WIDTH),
        "mlp.fc1.weight": (4 * WIDTH, WIDTH),
        "mlp.fc2.weight": (WIDTH, 4 * WIDTH),
    }
    space = WeightSpace.of({name: torch.empty(shape) for name, shape in shapes.items()})
    pretrained = torch.empty(space.size).normal_(std=0.02, generator=generator)
    vectors = torch.empty(N_TASKS, space.size).normal_(std=5e-4, generator=generator)
    return Given.of_weights(pretrained, vectors, space)


def test_wudi_beside_its_products(block, benchmark):
    """A step takes one product [d_out, d_in] x [d_in, d_in], and each task's Gram matrix two."""
    method = taskmark.methods.get("wudi")()
    steps = [torch.randn(part.shape) for part in block.space]
    overlaps = [torch.randn(part.shape[1], part.shape[1]) for part in block.space]
    grams = [
        block.task_vectors[:, part.slice].view(N_TASKS, *part.shape).double()
        for part in block.space
    ]

    def products() -> None:
        for step, overlap, tau in zip(steps, overlaps, grams, strict=True):
            for _ in range(method.n_steps):
                step @ overlap
            for one in tau:
                one @ (one.T @ one)

    cost, floor = in_turn(benchmark, lambda: method.merge(block), products, rounds=1)
    say("wudi, a block of ViT-S", cost, floor, against="its products alone", target="at most 2 x")
    note(f"    peak {cost.peak_bytes / MEGABYTE:.1f} MiB")


def test_doge_beside_its_passes_over_the_task_vectors(block, benchmark):
    """Each step reads all task vectors twice; the shared subspace takes T + 1 decompositions."""
    method, copy = taskmark.methods.get("doge")(), Copy()
    weights = [
        block.task_vectors[:, part.slice].view(N_TASKS, *part.shape).double()
        for part in block.space
    ]

    def decompositions() -> None:
        for tau in weights:
            for one in tau:
                torch.linalg.svd(one, full_matrices=False)

    cost, copied, decomposed = in_turn(
        benchmark, lambda: method.merge(block), copy, decompositions, rounds=1
    )
    floor = copy.floor(copied, 2 * method.n_steps * N_TASKS * block.space.size * 4)
    floor = type(floor)(
        floor.cpu_seconds + decomposed.cpu_seconds, floor.seconds + decomposed.seconds
    )
    against = f"{2 * method.n_steps} passes and {N_TASKS} decompositions a weight"
    say("doge, a block of ViT-S", cost, floor, against=against, target="at most 3 x")
    note(f"    peak {cost.peak_bytes / MEGABYTE:.1f} MiB")


def test_alignment_beside_its_assignment(block, benchmark):
    """Matching the hidden units, the largest problem: a product, and the assignment itself."""
    fields = {"alignment": "function-preserving", "heads": WIDTH // 64}
    method = taskmark.methods.get("hierarchical_ot")(**fields)
    two = Given.of_weights(block.pretrained, block.task_vectors[:2], block.space)
    units = torch.randn(4 * WIDTH, 2 * WIDTH, dtype=torch.float64)

    def assignment() -> None:
        linear_sum_assignment(-(units @ units.T).numpy())

    cost, floor = in_turn(benchmark, lambda: method.merge(two), assignment, rounds=3)
    against = "the product and assignment of its hidden units"
    say("hierarchical_ot, a block of ViT-S", cost, floor, against=against, target="at most 3 x")
    note(f"    peak {cost.peak_bytes / MEGABYTE:.1f} MiB")
