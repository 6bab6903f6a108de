"""The search of a scale on a task suite, exact and by racing, beside bare forward passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from side_by_side import in_turn, say

from taskmark.config import RunConfig
from taskmark.engine.executor import execute
from taskmark.engine.job import jobs_of
from taskmark.engine.plan import plan
from taskmark.engine.run import prepare
from taskmark.engine.stage import RecordStage
from taskmark.inference.racing import Racing, race
from taskmark.inference.scale_search import candidates, search
from taskmark.stages.editing import edit
from taskmark.stages.row import MeasureRow

if TYPE_CHECKING:
    from taskmark import Edit
    from taskmark.engine.run import Prepared
    from taskmark.inference.items import Items
    from taskmark.inference.readers import StandardReader

pytestmark = pytest.mark.timing

SEARCHED = ("task_arithmetic", "ties")


@dataclass(frozen=True, slots=True)
class Stage:
    """All that the scale of a merged vector is searched on."""

    read: StandardReader
    edit: Edit
    splits: dict[str, Items]
    experts: dict[str, float]
    scales: tuple[float, ...]
    racing: Racing


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """The real thing: experts of mini, tuned on the first call and kept in the user's store."""
    config = RunConfig(
        backbones=("image_text",), methods=SEARCHED, recipes=("standard",), device="cpu"
    )
    ready = prepare(config)
    planned = plan(ready.request)
    first = [stage for stage in planned if not isinstance(stage, RecordStage)]
    jobs = jobs_of(first, ready.store)
    todo = [job for job in jobs if not ready.store.has(job.stage)]
    execute(todo, ready.store, workers=0, listener=lambda _event: None)
    rows = {row.method.name: row for row in planned if isinstance(row, MeasureRow)}
    return {name: _stage(ready, rows[name]) for name in SEARCHED}


def _stage(ready: Prepared, row: MeasureRow) -> Stage:
    store, suite, experts = ready.store, ready.request.suite, row.experts
    method = row.method.build()
    vectors = store.get(experts.vectors)
    bits = store.get(experts.reference).tensors
    limits = row.method.plugins.limits
    return Stage(
        read=experts.reader(store, vectors.tensors["pretrained"]),
        edit=edit(method, row.handout(store, method), vectors=vectors, limits=limits).edit,
        splits=experts.validation(store),
        experts={
            task: float(bits[f"validation/{task}/correct"].double().mean()) for task in suite.tasks
        },
        scales=candidates(method.scale_range, suite.protocol.trials),
        racing=Racing(seed=int(suite.sha256[:16], 16), block=2 * suite.protocol.batch_size),
    )


@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_of_scales_beside_bare_forward_passes(name, stages, benchmark):
    stage = stages[name]
    arguments = (stage.read, stage.edit, stage.splits, stage.experts, stage.scales)
    setting = stage.read._setting
    images = [split.inputs for split in stage.splits.values()]

    @torch.inference_mode()
    def bare() -> None:
        for _ in stage.scales:
            for batch in setting.batches(*images):
                setting.encoder(batch)

    exact, racing, reference = in_turn(
        benchmark,
        lambda: search(*arguments),
        lambda: race(*arguments, stage.racing),
        bare,
        rounds=1,
    )
    against = f"{len(stage.scales)} bare forward passes"
    say(f"exact search for {name}", exact, reference, against=against, target="at most 1.10 x")
    say(f"racing search for {name}", racing, reference, against=against, target="at most 0.5 x")
