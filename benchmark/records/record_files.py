"""Reading files of records from a folder, trusting none that does not prove itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from taskmark.errors import TaskmarkError, first_fault
from taskmark.records.localisation_record import LocalisationRecord
from taskmark.records.negation_record import NegationRecord
from taskmark.records.record import DisentanglementRecord, Record

if TYPE_CHECKING:
    from pathlib import Path

Kind = TypeVar("Kind", Record, DisentanglementRecord, NegationRecord, LocalisationRecord)


def read_folder(folder: Path, kind: type[Kind], *, command: str = "taskmark run") -> list[Kind]:
    """Read all `*.json` of a folder, in the order of their names.

    Args:
        folder: of files of one kind; none if it is not there.
        kind: what they must be.
        command: what makes such a file again, for sentences.

    Raises:
        TaskmarkError: if a file cannot be read, is not a record, or is not what its id says.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        cure = f"delete the file and run `{command}` again, which makes a new one."
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise TaskmarkError(
                f"The record {str(path)!r} cannot be read ({reason}); make it readable."
            ) from error
        try:
            record = kind.model_validate_json(content)
            age(record)
            record_id = record.identified().record_id
        except ValidationError as error:
            place, told = first_fault(error)
            raise TaskmarkError(
                f"The file {str(path)!r} is not a valid record ({place}: {told}); {cure}"
            ) from error
        except (ValueError, OverflowError) as error:
            raise TaskmarkError(
                f"The record {str(path)!r} has no date in provenance.created_at; {cure}"
            ) from error
        if record_id != record.record_id:
            raise TaskmarkError(
                f"The record {str(path)!r} was changed after it was made: its content does not "
                f"hash to its record_id {record.record_id[:12]!r}; {cure}"
            )
        records.append(record)
    return records


def age(
    record: Record | DisentanglementRecord | NegationRecord | LocalisationRecord,
) -> tuple[float, str]:
    """Order by creation; the id decides between records of the same moment."""
    created = datetime.fromisoformat(record.provenance.created_at)
    return created.timestamp(), record.record_id
