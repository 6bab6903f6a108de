"""Speed beside its floor: `nox -s timing` prints both; nothing is asserted about time.

The floor of a merge is the bytes that it must read and write over the bandwidth of a copy, measured
in the same run. The floor of an evaluation is the bare forward loop over the same batches.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

import taskmark.methods
from taskmark import Edit, Given, Head, WeightSpace
from taskmark.context import Context
from taskmark.editing import apply, give, own_reader
from taskmark.executor import execute
from taskmark.linearised import value_and_tangent
from taskmark.plan import Selection, plan
from taskmark.readers import Setting, StandardReader, TangentReader
from taskmark.registry import MethodChoice, build
from taskmark.run import default_store
from taskmark.scale_search import Racing, Split, candidates, race, search, splits_of_validation
from taskmark.suite import load

if TYPE_CHECKING:
    from taskmark.rows import Row

pytestmark = pytest.mark.timing

N_TASKS, SIZE = 8, 5_000_000
SCALES = [i / 20 for i in range(21)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def given() -> Given:
    generator = torch.Generator().manual_seed(0)
    pretrained = torch.randn(SIZE, generator=generator)
    vectors = torch.randn(N_TASKS, SIZE, generator=generator) * 0.01
    return Given.of_weights(pretrained, vectors, WeightSpace.of({"all": pretrained}))


@pytest.fixture(scope="module")
def bytes_per_second() -> float:
    source, target = torch.ones(50_000_000), torch.empty(50_000_000)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        seconds.append(time.perf_counter() - start)
    return 2 * source.numel() * 4 / sorted(seconds)[2]


# Passes over one vector that a method cannot do without: reads and writes, in vectors.
PASSES = {"task_arithmetic": N_TASKS + 1, "weight_averaging": N_TASKS + 1, "ties": 3 * N_TASKS + 2}


@pytest.mark.parametrize("name", PASSES)
def test_merging_beside_the_memory_floor(name, given, bytes_per_second, benchmark):
    method = taskmark.methods.get(name)()
    benchmark.pedantic(method.merge, args=(given,), rounds=5, warmup_rounds=1)
    floor = PASSES[name] * SIZE * 4 / bytes_per_second
    _say(benchmark, floor, f"{PASSES[name]} passes at {bytes_per_second / 1e9:.1f} GB/s")


def _model() -> tuple[nn.Module, WeightSpace, torch.Tensor]:
    model = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=96, depth=2, num_heads=3, num_classes=0
    ).eval()
    space = WeightSpace.of(model)
    return model, space, space.flatten(dict(model.named_parameters()))


def _work(n_images: int, width: int) -> dict[str, tuple[Head, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    head = Head(torch.randn(10, width, generator=generator), torch.zeros(10))
    return {
        f"task_{i}": (head, torch.randn(n_images, 3, 32, 32, generator=generator))
        for i in range(N_TASKS)
    }


def test_a_sweep_of_21_scales_beside_bare_forward_passes(benchmark):
    model, space, pretrained = _model()
    read = StandardReader(Setting(model, space, pretrained, torch.device("cpu"), 250))
    vector, work = torch.randn(space.size) * 0.01, _work(125, 96)
    benchmark.pedantic(read.predict, args=(vector, SCALES, work), rounds=3, warmup_rounds=1)
    with torch.inference_mode():
        start = time.perf_counter()
        for _ in SCALES:
            for _head, inputs in work.values():
                model(inputs)
        floor = time.perf_counter() - start
    _say(benchmark, floor, "21 bare forward passes")


def test_a_tangent_sweep_beside_one_pass_a_scale(benchmark):
    model, space, pretrained = _model()
    read = TangentReader(Setting(model, space, pretrained, torch.device("cpu"), 250))
    vector, work = torch.randn(space.size) * 0.01, _work(25, 96)
    benchmark.pedantic(read.predict, args=(vector, SCALES, work), rounds=3, warmup_rounds=1)
    with torch.no_grad():
        start = time.perf_counter()
        for scale in SCALES:
            for head, inputs in work.values():
                value, tangent = value_and_tangent(model, space, pretrained, scale * vector, inputs)
                head.predict(value + tangent)
        brute = time.perf_counter() - start
    _say(benchmark, brute, "a linearised forward pass for every scale")


SEARCHED = ("task_arithmetic", "ties")


@dataclass(frozen=True, slots=True)
class Stage:
    """All that the scale of a merged vector is searched on."""

    read: StandardReader
    edit: Edit
    splits: dict[str, Split]
    experts: dict[str, float]
    scales: tuple[float, ...]
    racing: Racing


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """The real thing: experts of mini, tuned on the first call and kept in the user's store."""
    context = Context(load("mini"), default_store(), "cpu")
    choices = tuple(MethodChoice(name) for name in SEARCHED)
    selection = Selection(backbones=("image_text",), methods=choices, recipes=("standard",))
    planned = plan(context, selection)
    first = [job for job in planned.jobs if job.kind not in ("records", "disentanglement")]
    todo = [job for job in first if not job.is_done(context.store)]
    execute(todo, context, workers=0, listener=lambda _event: None)
    rows = {row.choice.name: row for row in planned.rows.values()}
    return {name: _stage(context, rows[name]) for name in SEARCHED}


def _stage(context: Context, row: Row) -> Stage:
    method = build(context.methods()[row.choice.name].method, dict(row.choice.hyperparameters))
    vectors = context.store.get("vectors", row.stand.vectors)
    bits = context.store.get("normaliser", row.stand.normaliser).tensors
    protocol = context.suite.protocol
    return Stage(
        read=own_reader(context, row.stand, vectors.tensors["pretrained"]),
        edit=apply(method, give(context, row.stand, method, 0, vectors))[0],
        splits=splits_of_validation(context, row.stand),
        experts={
            task: float(bits[f"validation/{task}/correct"].double().mean())
            for task in context.suite.tasks
        },
        scales=candidates(method.scale_range, protocol.trials),
        racing=Racing(seed=int(context.suite.sha256[:16], 16), block=2 * protocol.batch_size),
    )


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("how", ["exact", "racing"])
@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_of_scales_beside_bare_forward_passes(name, how, stages, benchmark):
    stage = stages[name]
    arguments = (stage.read, stage.edit, stage.splits, stage.experts, stage.scales)
    if how == "exact":
        benchmark.pedantic(search, args=arguments, rounds=1, warmup_rounds=0)
    else:
        benchmark.pedantic(race, args=(*arguments, stage.racing), rounds=1, warmup_rounds=0)
    _say(benchmark, _bare_passes(stage), f"{len(stage.scales)} bare forward passes, CPU seconds")


def _bare_passes(stage: Stage) -> float:
    setting = stage.read._setting
    images = [split.inputs for split in stage.splits.values()]
    with torch.inference_mode():
        start = time.process_time()
        for _ in stage.scales:
            for batch in setting.batches(*images):
                setting.encoder(batch)
        return time.process_time() - start


def _say(benchmark, reference: float, what: str) -> None:
    ratio = benchmark.stats.stats.median / reference
    benchmark.extra_info["ratio"] = ratio
    print(f"\n{benchmark.name}: {ratio:.2f} x of {reference:.4f} s ({what})")  # noqa: T201
