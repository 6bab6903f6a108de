"""Reading and writing files of records, trusting none that does not prove itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError, first_fault
from taskmark.records.envelope import Envelope
from taskmark.records.identity import age, keep_newest
from taskmark.records.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

R = TypeVar("R", bound=Envelope)


def write_record(out: Path, record: Envelope) -> Path:
    """Write a record into the folder of its kind; a file that is there already stays.

    Args:
        out: the folder that a run writes to.
        record: with its id.

    Returns:
        The file.

    Raises:
        TaskmarkError: if it cannot be written.
    """
    path = out / record.folder / f"{record.record_id[:16]}.json"
    if not path.is_file():
        write_atomically(path, (record.model_dump_json(indent=1) + "\n").encode())
    return path


def read_records(out: Path, more: Iterable[Record] = ()) -> list[Record]:
    """Read the records of rows, see `read_kind`."""
    return read_kind(out, Record, more)


def read_kind(out: Path, kind: type[R], more: Iterable[R] = ()) -> list[R]:
    """Read the records of one kind, those left out that a later one supersedes.

    Args:
        out: the folder that a run wrote to; its records of the kind may be missing.
        kind: of the records.
        more: records that count as if they were in the folder, such as those of submissions.

    Raises:
        TaskmarkError: if a file cannot be read, is not a record, contradicts itself, or is not what
            its id says.
    """
    records = [*read_folder(out / kind.folder, kind), *more]
    for record in records:
        if contradiction := record.find_contradiction():
            raise TaskmarkError(
                f"The record {record.record_id[:12]!r} contradicts itself: {contradiction}; delete "
                f"it and run `{kind.command}` again, which makes a new one."
            )
    return keep_newest(records)


def read_folder(folder: Path, kind: type[R]) -> list[R]:
    """Read all `*.json` of a folder, in the order of their names.

    Args:
        folder: of files of one kind; none if it is not there.
        kind: what they must be.

    Raises:
        TaskmarkError: if a file cannot be read, is not a record, or is not what its id says.
    """
    return [_read(path, kind) for path in sorted(folder.glob("*.json"))]


def _read(path: Path, kind: type[R]) -> R:
    cure = f"delete the file and run `{kind.command}` again, which makes a new one."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TaskmarkError(
            f"The record {str(path)!r} cannot be read ({error.strerror or error}); make it "
            "readable."
        ) from error
    try:
        record = kind.model_validate_json(content)
        age(record)
        record_id = record.with_record_id().record_id
    except ValidationError as error:
        place, fault = first_fault(error)
        raise TaskmarkError(
            f"The file {str(path)!r} is not a valid record ({place}: {fault}); {cure}"
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
    return record
