"""Reading back the records of metrics that a run makes when asked, from its output folder."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from taskmark.errors import TaskmarkError
from taskmark.localisation_record import LocalisationRecord
from taskmark.record import NegationRecord, digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

R = TypeVar("R", NegationRecord, LocalisationRecord)


def read_newest(
    out: Path, metric: str, schema: type[R], about: Callable[[R], tuple[str | int, ...]]
) -> list[R]:
    """Read `out/<metric>/*.json`, the newest of each suite and subject.

    Args:
        out: what a run wrote to.
        metric: name of the folder and of the option that asks for the metric.
        schema: of its records.
        about: the subject of a record.

    Returns:
        Records in the order of their subjects.

    Raises:
        TaskmarkError: if a file is not a record or is not what its id says.
    """
    found = [_read(path, metric, schema) for path in (out / metric).glob("*.json")]
    found.sort(key=_age)
    newest = {digest([made.suite.model_dump(), about(made)]): made for made in found}  # the last
    return sorted(newest.values(), key=lambda made: (*about(made), made.record_id))


def _age(record: NegationRecord | LocalisationRecord) -> tuple[datetime, str]:
    return datetime.fromisoformat(record.provenance.created_at), record.record_id


def _read(path: Path, metric: str, schema: type[R]) -> R:
    cure = f"delete the file and run `taskmark run --{metric}` again, which makes a new one."
    try:
        record = schema.model_validate_json(path.read_bytes())
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
