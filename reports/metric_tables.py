"""The metrics as tidy tables: negation by task, localisation by pair of tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.records.localisation_record import LocalisationRecord
    from taskmark.records.negation_record import NegationRecord

_SHARED_TYPES = {
    "suite": "string",
    "suite_version": "string",
    "suite_sha256": "string",
    "backbone": "string",
}

NEGATION_TYPES = {
    **_SHARED_TYPES,
    "recipe": "string",
    "method": "string",
    "hyperparameters": "string",
    "expert_seed": "Int64",
    "negated": "string",
    "task": "string",
    "part": "string",
    "alpha": "Float64",
    "keep": "Float64",
    "n": "Int64",
    "correct": "Int64",
    "accuracy": "Float64",
    "low": "Float64",
    "high": "Float64",
    "pretrained_accuracy": "Float64",
    "created_at": "string",
    "record_id": "string",
}
"""Columns of the table of negation: `task` is measured where `negated` is subtracted; `part` is
"target" or "control". Without a method it is the task vector itself that is subtracted."""

LOCALISATION_TYPES = {
    **_SHARED_TYPES,
    "task_1": "string",
    "task_2": "string",
    "n_images": "Int64",
    "n_directions": "Int64",
    "n_features": "Int64",
    "localisation": "Float64",
    "direction_error": "Float64",
    "image_error": "Float64",
    "null_mean": "Float64",
    "null_low": "Float64",
    "null_high": "Float64",
    "created_at": "string",
    "record_id": "string",
}
"""Columns of the table of localisation; errors are standard errors, the null is that of chance."""


def negation_frame(records: Iterable[NegationRecord]) -> pd.DataFrame:
    """Return one line per negated task, and one for each task that controls it."""
    lines = []
    for record in records:
        method = record.method
        fields = json.dumps(method.hyperparameters, sort_keys=True) if method else None
        for task in record.tasks:
            parts = [("target", task.target), *(("control", one) for one in task.controls)]
            lines += [
                {
                    **_shared(record),
                    "recipe": record.recipe,
                    "method": method.name if method else None,
                    "hyperparameters": fields,
                    "expert_seed": record.expert_seed,
                    "negated": task.target.task,
                    "task": result.task,
                    "part": part,
                    "alpha": task.alpha,
                    "keep": record.keep,
                    "n": result.n,
                    "correct": result.n_correct,
                    "accuracy": result.accuracy,
                    "low": result.low,
                    "high": result.high,
                    "pretrained_accuracy": result.pretrained_accuracy,
                }
                for part, result in parts
            ]
    return pd.DataFrame(lines, columns=list(NEGATION_TYPES)).astype(NEGATION_TYPES)


def localisation_frame(records: Iterable[LocalisationRecord]) -> pd.DataFrame:
    """Return one line per backbone and pair of tasks."""
    lines = [
        {
            **_shared(record),
            "task_1": pair.task_1,
            "task_2": pair.task_2,
            "n_images": pair.n_images,
            "n_directions": record.n_directions,
            "n_features": record.n_features,
            "localisation": pair.localisation.value,
            **pair.localisation.model_dump(exclude={"value"}),
        }
        for record in records
        for pair in record.pairs
    ]
    return pd.DataFrame(lines, columns=list(LOCALISATION_TYPES)).astype(LOCALISATION_TYPES)


def _shared(record: NegationRecord | LocalisationRecord) -> dict[str, Any]:
    """What all lines of a record have in common."""
    return {
        "suite": record.suite.name,
        "suite_version": record.suite.edition,
        "suite_sha256": record.suite.sha256,
        "backbone": record.backbone,
        "created_at": record.provenance.created_at,
        "record_id": record.record_id,
    }
