"""Negation as an operation for methods: subtract what a method makes of one task alone.

A method that keeps to one merged vector and the suite's heads makes of a single task vector a
direction of its own: a trimmed vector, one of flattened spectrum, one with learned coefficients.
That direction is negated as `taskmark.stages.negation` negates the task vector itself.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from taskmark.errors import CorruptArtifactError, sentence
from taskmark.inference.scale_search import scale_range_of
from taskmark.machine.costs import measure
from taskmark.plugins.registry import build
from taskmark.records.provenance import method_facts
from taskmark.stages.editing import apply, give
from taskmark.stages.negation import ALPHAS, negated
from taskmark.store.artifacts import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from taskmark.context import Context
    from taskmark.contract.method import Method
    from taskmark.stages.row import Row

_log = logging.getLogger(__name__)


def has_direction_of_its_own(method: type[Method]) -> bool:
    """Whether negation by a method can differ from negation of the task vector.

    It cannot where a single task gives the direction of its task vector, and baselines and
    references are no methods of arithmetic on weights.
    """
    return method.role == "competitor" and method.takes(1) and not method.keeps_direction


def make_negation_of_method(
    context: Context, key: str, *, row: Row, controls: Mapping[str, Sequence[str]], keep: float
) -> str | None:
    """Negate what a method makes of each task of the suite in turn.

    Each edit is of one task alone, with its data alone, and with an equal share of the suite's
    budget of gradient images. Alpha lies between 0 and the upper end of the method's own range of
    scales, 1 where it has none, on as many points as every search of the suite.

    Returns:
        The record as JSON; None where the method returns no direction (it brings heads of its own
        or weights for a single task, or nothing but zeros), or where it fails.
    """
    found = context.methods()[row.choice.name]
    method = build(found.method, dict(row.choice.hyperparameters))
    try:
        with measure() as edited:
            directions = _directions(context, row, method)
    except (CorruptArtifactError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a method does fails its own row alone
        _log.warning("The negation by %s failed: %s", method.name, sentence(error))
        return None
    if directions is None:
        context.store.put("negation", key, {}, {"record": ""})
        return None
    scales = scale_range_of(method, context.suite.protocol.scale_ranges)
    record = negated(
        context,
        row.stand,
        directions,
        controls=controls,
        keep=keep,
        alphas=(ALPHAS[0], scales[1] if scales else ALPHAS[1]),
        method=method_facts(found, dict(row.choice.hyperparameters)),
    )
    record = record.model_copy(update={"seconds": edited.seconds + record.seconds})
    text = record.identified().model_dump_json()
    context.store.put("negation", key, {}, {"record": text})
    return text


def _directions(context: Context, row: Row, method: Method) -> dict[str, Tensor] | None:
    """What the method makes of each task, [P]; None where one of them is no direction."""
    weights = context.store.get("vectors", row.stand.vectors)
    tasks, vectors = weights.facts["tasks"], weights.tensors["task_vectors"]
    shared = _with_budget(context, context.suite.protocol.gradient_images // len(tasks))
    directions: dict[str, Tensor] = {}
    for place, task in enumerate(tasks):
        alone = dataclasses.replace(
            row.stand,
            inputs={task: row.stand.inputs[task]},
            heads={task: row.stand.heads[task]},
        )
        own = Artifact(
            {**weights.tensors, "task_vectors": vectors[place : place + 1]},
            {**weights.facts, "tasks": [task]},
        )
        edit, _ = apply(method, *give(shared, alone, method, row.method_seed, own))
        if edit.heads or not edit.one_model:
            return None
        directions[task] = edit.vector
    return directions if any(vector.any() for vector in directions.values()) else None


def _with_budget(context: Context, gradient_images: int) -> Context:
    protocol = context.suite.protocol.model_copy(update={"gradient_images": gradient_images})
    return dataclasses.replace(
        context, suite=context.suite.model_copy(update={"protocol": protocol})
    )
