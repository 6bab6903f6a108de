"""Records as tidy tables: one line per record and task, one line per point of a grid."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from taskmark.records.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskmark.records.disentanglement_record import DisentanglementRecord

RECORD_TYPES = {
    "suite": "string",
    "suite_version": "string",
    "suite_sha256": "string",
    "backbone": "string",
    "heads": "string",
    "recipe": "string",
    "experts": "string",
    "method": "string",
    "hyperparameters": "string",
    "role": "string",
    "track": "string",
    "scale": "Float64",
    "task": "string",
    "n": "Int64",
    "correct": "Int64",
    "accuracy": "Float64",
    "normalised_accuracy": "Float64",
    "own_recipe": "Float64",
    "low": "Float64",
    "high": "Float64",
    "disagreement": "Float64",
    "state": "string",
    "reason": "string",
    "expert_seed": "Int64",
    "method_seed": "Int64",
    "edit_seconds": "Float64",
    "trials": "Int64",
    "gradient_images": "Int64",
    "extra_parameters": "Int64",
    "created_at": "string",
    "commit": "string",
    "device": "string",
    "dtype": "string",
    "record_id": "string",
}
"""Columns of the table of records; accuracies, and their interval [low, high], are fractions.

`normalised_accuracy` is the accuracy as a share of that of the standard expert, which ranks;
`own_recipe` is the share of the expert of the row's own recipe, as it is on the record.

`experts` is the family of those that were brought along, empty where the run tuned them.
"""

DISENTANGLEMENT_TYPES = {
    "suite": "string",
    "backbone": "string",
    "recipe": "string",
    "task_1": "string",
    "task_2": "string",
    "alpha_1": "Float64",
    "alpha_2": "Float64",
    "xi": "Float64",
    "suite_version": "string",
    "expert_seed": "Int64",
    "record_id": "string",
}
"""Columns of the table of grids."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def records_frame(
    records: Iterable[Record], normalised: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Return one line per record and task; a record without tasks is one line with none.

    Args:
        records: of any state.
        normalised: id of a record -> task -> normalised accuracy, see
            `taskmark.reports.board.normalise_records`.
    """
    lines: list[dict[str, Any]] = []
    for record in records:
        shared = _shared(record)
        if not record.tasks:
            lines.append(shared)
        lines += [
            {
                **shared,
                "task": result.task,
                "n": result.n,
                "correct": result.n_correct,
                "accuracy": result.accuracy,
                "normalised_accuracy": normalised.get(record.record_id, {}).get(result.task),
                "own_recipe": result.normalised_accuracy,
                "low": result.low,
                "high": result.high,
                "disagreement": result.disagreement,
            }
            for result in record.tasks
        ]
    return pd.DataFrame(lines, columns=list(RECORD_TYPES)).astype(RECORD_TYPES)


def disentanglement_frame(records: Iterable[DisentanglementRecord]) -> pd.DataFrame:
    """Return one line per pair of tasks and point of the grid."""
    lines = [
        {
            "suite": record.suite.name,
            "backbone": record.backbone,
            "recipe": record.recipe,
            "task_1": pair.task_1,
            "task_2": pair.task_2,
            "alpha_1": alpha_1,
            "alpha_2": alpha_2,
            "xi": xi,
            "suite_version": record.suite.edition,
            "expert_seed": record.expert_seed,
            "record_id": record.record_id,
        }
        for record in records
        for pair in record.pairs
        for alpha_1, row in zip(record.alphas, pair.xi, strict=True)
        for alpha_2, xi in zip(record.alphas, row, strict=True)
    ]
    columns = list(DISENTANGLEMENT_TYPES)
    return pd.DataFrame(lines, columns=columns).astype(DISENTANGLEMENT_TYPES)


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Write a table as CSV in which no text cell is a formula to a spreadsheet.

    A text that starts as a formula would gets an apostrophe before it, and a carriage return, which
    some readers take for the end of a line, becomes a space. The parquet file holds the texts as
    they are.
    """
    safe = frame.copy()
    for column in frame.columns[frame.dtypes == "string"]:
        starts = safe[column].str.startswith(_FORMULA_STARTS).fillna(value=False).astype(bool)
        safe[column] = safe[column].mask(starts, "'" + safe[column]).str.replace("\r", " ")
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text.encode()


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """Write a table as parquet."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def schema_bytes() -> bytes:
    """Return the JSON Schema of a record."""
    schema = Record.model_json_schema(mode="serialization")
    return (json.dumps(schema, indent=2, sort_keys=True) + "\n").encode()


def _shared(record: Record) -> dict[str, Any]:
    """What all lines of a record have in common."""
    counted, measured = record.counted, record.measured
    return {
        "suite": record.suite.name,
        "suite_version": record.suite.edition,
        "suite_sha256": record.suite.sha256,
        "backbone": record.backbone,
        "heads": record.heads,
        "recipe": record.recipe,
        "experts": record.experts.family if record.experts else None,
        "method": record.method.name,
        "hyperparameters": json.dumps(record.method.hyperparameters, sort_keys=True),
        "role": record.method.role,
        "track": record.method.track,
        "scale": record.scale,
        "state": record.state,
        "reason": record.reason,
        "expert_seed": record.seeds.expert,
        "method_seed": record.seeds.method,
        "edit_seconds": measured.edit_seconds if measured else None,
        "trials": counted.trials if counted else None,
        "gradient_images": counted.gradient_images if counted else None,
        "extra_parameters": counted.extra_parameters if counted else None,
        "created_at": record.provenance.created_at,
        "commit": record.provenance.commit,
        "device": record.provenance.device,
        "dtype": record.provenance.dtype,
        "record_id": record.record_id,
    }
