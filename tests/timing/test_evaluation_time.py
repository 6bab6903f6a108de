"""Evaluating, sweeps and grids beside what they cannot do without, and beside brute force."""

from __future__ import annotations

import pytest
import torch
from side_by_side import Cost, in_turn, say, say_faster

from taskmark import Head, WeightSpace
from taskmark.inference.linearised import value_and_tangent
from taskmark.inference.readers import Setting, StandardReader, TangentReader
from taskmark.suites.mini.architecture import N_TOKENS, SMALL, build

pytestmark = pytest.mark.timing

N_TASKS, N_CLASSES, BATCH = 8, 10, 250
SCALES = [i / 20 for i in range(21)]
GRID = [i / 10 for i in range(-9, 11)]  # 20 points an axis
ROUNDS = {1: 5, 21: 3}  # the sweep takes long
BRUTE_POINTS = 4  # of the 400, from which the cost of all is extrapolated


@pytest.fixture
def setting() -> Setting:
    encoder = build()[1]
    space = WeightSpace.of(encoder)
    pretrained = space.flatten(dict(encoder.named_parameters()))
    return Setting(encoder, space, pretrained, torch.device("cpu"), BATCH)


def _vector(setting: Setting, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(setting.space.size).normal_(std=0.01, generator=generator)


def _work(n_images: int, n_tasks: int = N_TASKS) -> dict[str, tuple[Head, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    shape = (n_images, N_TOKENS, SMALL.width)
    head = Head(torch.randn(N_CLASSES, SMALL.width, generator=generator), torch.zeros(N_CLASSES))
    return {f"task_{t}": (head, torch.randn(shape, generator=generator)) for t in range(n_tasks)}


@pytest.mark.parametrize(
    ("scales", "n_inputs", "target"),
    [([0.5], 500, "at most 1.05 x"), (SCALES, 125, "at most 1.10 x")],
)
def test_evaluating_beside_bare_forward_passes(scales, n_inputs, target, setting, benchmark):
    work = _work(n_inputs)
    read, vector = StandardReader(setting), _vector(setting)
    batches = list(setting.batches(*(inputs for _, inputs in work.values())))

    @torch.inference_mode()
    def bare() -> None:
        for _ in scales:
            for batch in batches:
                setting.encoder(batch)

    cost, reference = in_turn(
        benchmark, lambda: read.predict(vector, scales, work), bare, rounds=ROUNDS[len(scales)]
    )
    what = f"predictions of {N_TASKS} tasks x {n_inputs} cached inputs at {len(scales)} scales"
    say(what, cost, reference, against="bare forward passes", target=target)


def test_a_tangent_sweep_beside_one_pass_a_scale(setting, benchmark):
    read, vector, work = TangentReader(setting), _vector(setting), _work(50)

    @torch.no_grad()
    def brute() -> None:
        for scale in SCALES:
            for head, inputs in work.values():
                _predict(setting, head, scale * vector, inputs)

    cost, reference = in_turn(
        benchmark, lambda: read.predict(vector, SCALES, work), brute, rounds=3
    )
    what = f"tangent sweep of {len(SCALES)} scales over {N_TASKS} tasks"
    say_faster(
        what, cost, reference, against="a linearised pass for each scale", target="at least 5 x"
    )


def test_a_tangent_grid_beside_one_pass_a_point(setting, benchmark):
    read, work = TangentReader(setting), _work(200, n_tasks=2)
    first, second = _vector(setting, seed=0), _vector(setting, seed=1)

    @torch.no_grad()
    def brute() -> None:
        for alpha in GRID[:BRUTE_POINTS]:
            for head, inputs in work.values():
                _predict(setting, head, alpha * first + second, inputs)

    cost, some = in_turn(benchmark, lambda: read.predict_grid((first, second), GRID, work), brute)
    share = len(GRID) ** 2 / BRUTE_POINTS
    whole = Cost(share * some.cpu_seconds, share * some.seconds)
    say_faster(
        f"tangent grid of {len(GRID)} x {len(GRID)} points over 2 tasks",
        cost,
        whole,
        against=f"a linearised pass for each point (extrapolated from {BRUTE_POINTS} points)",
        target="at least 50 x",
    )


def _predict(setting: Setting, head: Head, vector: torch.Tensor, inputs: torch.Tensor) -> None:
    value, tangent = value_and_tangent(
        setting.encoder, setting.space, setting.pretrained, vector, inputs
    )
    head.predict(value + tangent)
