"""The search of a scale on a task suite, exact and by racing, beside bare forward passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from side_by_side import in_turn, say

from taskmark.context import Context
from taskmark.engine.executor import execute
from taskmark.engine.plan import Selection, plan
from taskmark.engine.run import default_store
from taskmark.inference.scale_search import Racing, candidates, race, search, splits_of_validation
from taskmark.plugins.method_choice import MethodChoice
from taskmark.plugins.registry import build
from taskmark.stages.editing import own_reader
from taskmark.suite.definition import load
from taskmark.suites.task_data import Split

if TYPE_CHECKING:
    from taskmark import Edit
    from taskmark.inference.readers import StandardReader
    from taskmark.stages.row import Row

pytestmark = pytest.mark.timing

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
        edit=edit(
            method,
            handout_of(context, row.stand, method, 0),
            vectors=vectors,
            limits=limits_of(context),
        ).edit,
        splits=splits_of_validation(context, row.stand),
        experts={
            task: float(bits[f"validation/{task}/correct"].double().mean())
            for task in context.suite.tasks
        },
        scales=candidates(method.scale_range, protocol.trials),
        racing=Racing(seed=int(context.suite.sha256[:16], 16), block=2 * protocol.batch_size),
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
