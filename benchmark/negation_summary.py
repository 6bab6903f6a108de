"""The negation records of an output folder, and the line that a terminal shows of each."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from taskmark.errors import TaskmarkError
from taskmark.record import NegationRecord, digest

if TYPE_CHECKING:
    from pathlib import Path

    from taskmark.record import MeanAccuracy


def read_negation(out: Path) -> list[NegationRecord]:
    """Read `out/negation/*.json`, of each suite, backbone, recipe and seed the newest.

    Raises:
        TaskmarkError: if a file is not a record or is not what its id says.
    """
    newest: dict[str, NegationRecord] = {}
    records = [_read(path) for path in sorted((out / "negation").glob("*.json"))]
    for record in sorted(records, key=_age):
        about = (record.backbone, record.heads, record.recipe, record.expert_seed)
        newest[digest([record.suite.model_dump(), *about])] = record
    return sorted(newest.values(), key=lambda r: (r.backbone, r.recipe, r.expert_seed, r.record_id))


def line(record: NegationRecord) -> str:
    """What a record found: means over tasks in %, before and after, with 95 % intervals."""
    targets = [task.target.pretrained_accuracy for task in record.tasks]
    controls = {c.task: c.pretrained_accuracy for task in record.tasks for c in task.controls}
    return (
        f"Negation, {record.backbone}, {record.recipe}: "
        f"targets {_change(targets, record.target)}, "
        f"controls {_change(list(controls.values()), record.control)}"
    )


def _change(before: list[float], after: MeanAccuracy) -> str:
    interval = f"[{100 * after.low:.1f}, {100 * after.high:.1f}]"
    return f"{100 * sum(before) / len(before):.1f} -> {100 * after.accuracy:.1f} {interval}"


def _age(record: NegationRecord) -> tuple[datetime, str]:
    return datetime.fromisoformat(record.provenance.created_at), record.record_id


def _read(path: Path) -> NegationRecord:
    cure = "delete the file and run `taskmark run --negation` again, which makes a new one."
    try:
        record = NegationRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the top"
        raise TaskmarkError(
            f"The file {str(path)!r} is not a valid record ({place}: {first['msg']}); {cure}"
        ) from error
    if record.identified().record_id != record.record_id:
        raise TaskmarkError(
            f"The record {str(path)!r} was changed after it was made: its content does not hash "
            f"to its record_id {record.record_id[:12]!r}; {cure}"
        )
    return record
