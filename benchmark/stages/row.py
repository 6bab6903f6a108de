"""One row: edit, choose the scale on validation, read test once, and write the record."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskmark.errors import CorruptArtifactError, sentence
from taskmark.inference.scale_search import (
    Racing,
    best,
    candidates,
    race,
    scale_range_of,
    search,
    splits_of_validation,
)
from taskmark.machine import memory
from taskmark.machine.costs import Spent, measure
from taskmark.plugins.registry import MethodChoice, build
from taskmark.records.provenance import method_facts, provenance
from taskmark.records.record import (
    CountedCost,
    Geometry,
    MeasuredCost,
    Record,
    Seeds,
    Storage,
    Trial,
)
from taskmark.stages.editing import apply, give, own_reader
from taskmark.stages.evaluation import Outcome, evaluate
from taskmark.stages.expert_reference import stored_passes
from taskmark.stages.geometry import geometry
from taskmark.statistics.intervals import score_intervals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.context import Context
    from taskmark.contract.edit import Edit
    from taskmark.contract.given import Given
    from taskmark.contract.method import Method
    from taskmark.inference.readers import Reader
    from taskmark.stages.experts import Stand
    from taskmark.store.artifacts import Artifact

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """What one record is about."""

    stand: Stand
    choice: MethodChoice
    method_seed: int


def make_row(context: Context, key: str, *, row: Row) -> str:
    """Make one record, return it as JSON, and store it unless the method failed."""
    blank = blank_record(context, row)
    method = build(context.methods()[row.choice.name].method, dict(row.choice.hyperparameters))
    vectors = context.store.get("vectors", row.stand.vectors)
    given, files = give(context, row.stand, method, row.method_seed, vectors)
    try:
        edit, edited = apply(method, given, files)
    except (CorruptArtifactError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a method does fails its own row alone
        _log.debug("The method %s failed.", method.name, exc_info=True)
        found = _failed(error)
    else:
        try:
            found = _after(context, row.stand, vectors, method, given, edit, edited)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            found = _failed(error)
    # Made anew, since more may be worth a note now than when the row began.
    found["provenance"] = provenance(context, stored_passes(context, row.stand.normaliser))
    record = blank.model_copy(update=found)
    text = record.identified().model_dump_json()
    if record.state == "ok":
        context.store.put("records", key, {}, {"record": text})
    return text


def blank_record(context: Context, row: Row) -> Record:
    """The record of a row that was not run, with all that is known beforehand."""
    found = context.methods()[row.choice.name]
    return Record(
        suite=context.suite.facts,
        backbone=row.stand.backbone,
        heads=context.suite.backbones[row.stand.backbone].heads,
        recipe=row.stand.recipe,
        experts=context.expert_facts(row.stand.backbone, row.stand.expert_seed),
        method=method_facts(found, dict(row.choice.hyperparameters)),
        seeds=Seeds(expert=row.stand.expert_seed, method=row.method_seed),
        state="skipped",
        reason="not run",
        provenance=provenance(context, stored_passes(context, row.stand.normaliser)),
    )


def _failed(error: BaseException) -> dict[str, object]:
    reason = memory.explain(error) if memory.is_out_of_memory(error) else sentence(error)
    return {"state": "failed", "reason": reason}


def _after(
    context: Context,
    stand: Stand,
    vectors: Artifact,
    method: Method,
    given: Given,
    edit: Edit,
    edited: Spent,
) -> dict[str, object]:
    """What follows the edit, in code that calls nothing of the method."""
    read = own_reader(context, stand, vectors.tensors["pretrained"])
    protocol = context.suite.protocol
    scales = candidates(scale_range_of(method, protocol.scale_ranges), protocol.trials)
    racing = _racing(context, read) if len(scales) > 1 else None
    with measure() as selected:
        trials = _trials(context, stand, read, edit, scales, racing)
    scale = best(trials).scale if trials else scales[0]
    with measure() as evaluated:
        outcomes = evaluate(context, stand, vectors, read, edit, scale)
    return {
        "state": "ok",
        "reason": None,
        "scale": scale,
        "search": "racing" if racing else "exact",
        "search_error": racing.error if racing else 0.0,
        "curve": trials,
        **_scores(outcomes),
        "geometry": _geometry(edit, scale, vectors),
        "counted": _counted(given, edit, trials),
        "storage": Storage(one_model=edit.one_model, extra_bytes=edit.extra_bytes),
        "measured": _measured(vectors, edited, selected, evaluated),
    }


def _racing(context: Context, read: Reader) -> Racing | None:
    """How to race where the suite says so and where a scale less to read saves anything."""
    suite = context.suite
    if suite.protocol.search == "exact" or not read.pays_per_scale:
        return None
    seed = int(suite.sha256[:16], 16)  # one order of the images for all rows of the suite
    # The protocol's batch even where more images pass at once: which scales are read how far must
    # not depend on the memory of the machine.
    return Racing(seed=seed, block=2 * suite.protocol.batch_size)


def _trials(
    context: Context,
    stand: Stand,
    read: Reader,
    edit: Edit,
    scales: tuple[float, ...],
    racing: Racing | None,
) -> tuple[Trial, ...]:
    if len(scales) == 1:  # nothing to choose
        return ()
    splits = splits_of_validation(context, stand)
    bits = context.store.get("normaliser", stand.normaliser).tensors
    experts = {task: float(bits[f"validation/{task}/correct"].double().mean()) for task in splits}
    if racing:
        return race(read, edit, splits, experts, scales, racing)
    return search(read, edit, splits, experts, scales)


def _scores(outcomes: Mapping[str, Outcome]) -> dict[str, object]:
    intervals = score_intervals(
        {task: outcome.correct for task, outcome in outcomes.items()},
        {task: outcome.expert_correct for task, outcome in outcomes.items()},
    )
    return {
        "tasks": tuple(outcome.result(task) for task, outcome in outcomes.items()),
        "accuracy": float(np.mean([outcome.accuracy for outcome in outcomes.values()])),
        "accuracy_low": intervals.accuracy_low,
        "accuracy_high": intervals.accuracy_high,
        "normalised_accuracy": float(
            np.mean([outcome.normalised_accuracy for outcome in outcomes.values()])
        ),
        "normalised_low": intervals.normalised_low,
        "normalised_high": intervals.normalised_high,
    }


def _geometry(edit: Edit, scale: float, vectors: Artifact) -> Geometry:
    return geometry(scale * edit.vector, vectors.tensors["task_vectors"], vectors.facts["tasks"])


def _counted(given: Given, edit: Edit, trials: tuple[Trial, ...]) -> CountedCost:
    return CountedCost(
        trials=len(trials),
        selection_images=sum(trial.n_images for trial in trials),
        gradient_images=given.gradient_images,
        forward_images=given.forward_images,
        data_touched=dict(sorted(given.touched.items())),
        extra_parameters=edit.extra_parameters,
    )


def _measured(vectors: Artifact, edited: Spent, selected: Spent, evaluated: Spent) -> MeasuredCost:
    return MeasuredCost(
        tune_seconds=vectors.facts["seconds"],
        tune_cpu_seconds=vectors.facts["cpu_seconds"],
        edit_seconds=edited.seconds,
        edit_cpu_seconds=edited.cpu_seconds,
        select_seconds=selected.seconds,
        select_cpu_seconds=selected.cpu_seconds,
        evaluate_seconds=evaluated.seconds,
        evaluate_cpu_seconds=evaluated.cpu_seconds,
        edit_peak_bytes=edited.peak_bytes,
        select_peak_bytes=selected.peak_bytes,
        evaluate_peak_bytes=evaluated.peak_bytes,
        edit_device_peak_bytes=edited.device_peak_bytes,
        select_device_peak_bytes=selected.device_peak_bytes,
        evaluate_device_peak_bytes=evaluated.device_peak_bytes,
    )
