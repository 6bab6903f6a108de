"""A submission: the records that somebody claims for a method, with the code that made them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, Self

from pydantic import ValidationError, model_validator

from taskmark.errors import TaskmarkError, first_fault
from taskmark.records.frozen import Frozen
from taskmark.records.record import Record
from taskmark.records.record_files import read_folder
from taskmark.records.suite_facts import SuiteFacts

if TYPE_CHECKING:
    from pathlib import Path

ClaimState = Literal["claimed", "reproduced", "disputed"]
"""Nobody has run it again; somebody has, and found the same; the last to do so found otherwise."""

FILE = "submission.json"


class Reproduction(Frozen):
    """One run of a submission's rows by somebody else.

    Attributes:
        created_at: when.
        commit: of taskmark.
        device: on which it ran.
        differences: what it found otherwise, one sentence each; empty where it found the same.
    """

    created_at: str
    commit: str | None
    device: str
    differences: tuple[str, ...]


class Submission(Frozen):
    """What `submission.json` says, beside the records.

    Attributes:
        method: its name.
        suite: the suite of all records.
        file: the name of the file with the method, beside this one; None for a package.
        package: the published package with the method, pinned (`name==version`); None for a file.
        source_sha256: the hash of the file that defines the method.
        records: ids of the records, sorted.
        state: see `ClaimState`.
        reproductions: in the order in which they were made.
    """

    schema_version: Literal[1] = 1
    method: str
    suite: SuiteFacts
    file: str | None
    package: str | None
    source_sha256: str
    records: tuple[str, ...]
    state: ClaimState = "claimed"
    reproductions: tuple[Reproduction, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if (self.file is None) == (self.package is None):
            raise ValueError("it names either a file or a package")
        if self.state != state_after(self.reproductions):
            raise ValueError(f"its reproductions make it {state_after(self.reproductions)!r}")
        return self

    def with_reproduction(self, reproduction: Reproduction) -> Submission:
        """The same submission after one more run of its rows."""
        all_of_them = (*self.reproductions, reproduction)
        return self.model_copy(
            update={"reproductions": all_of_them, "state": state_after(all_of_them)}
        )


def state_after(reproductions: tuple[Reproduction, ...]) -> ClaimState:
    """The state of a row: what the last to run it again found."""
    if not reproductions:
        return "claimed"
    return "disputed" if reproductions[-1].differences else "reproduced"


def read_submission(folder: Path) -> tuple[Submission, list[Record]]:
    """Read a submission and its records, and check that they belong together.

    Raises:
        TaskmarkError: if a file is missing, not valid, or not what its hash says.
    """
    path = folder / FILE
    cure = "write the folder anew with `taskmark submit`."
    try:
        submission = Submission.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TaskmarkError(
            f"There is no submission in {str(folder)!r} ({error.strerror or error} {FILE}); {cure}"
        ) from error
    except ValidationError as error:
        place, fault = first_fault(error)
        raise TaskmarkError(
            f"The file {str(path)!r} is not a valid submission ({place}: {fault}); {cure}"
        ) from error
    records = read_folder(folder / "records", Record)
    if sorted(record.record_id for record in records) != sorted(submission.records):
        raise TaskmarkError(
            f"The records in {str(folder / 'records')!r} are not those that {FILE} names; {cure}"
        )
    for record in records:
        if (record.method.name, record.suite) != (submission.method, submission.suite):
            raise TaskmarkError(
                f"The record {record.record_id[:16]!r} in {str(folder)!r} is of the method "
                f"{record.method.name!r} on {record.suite.label}, which is "
                f"not what {FILE} says; {cure}"
            )
        if record.method.source_sha256 != submission.source_sha256:
            raise TaskmarkError(
                f"The record {record.record_id[:16]!r} in {str(folder)!r} was made by other code "
                f"than {FILE} says; {cure}"
            )
    if submission.file is not None:
        _check_file(folder / submission.file, submission.source_sha256, cure)
    return submission, records


def read_submissions(folder: Path) -> list[tuple[Submission, list[Record]]]:
    """Read `SUITE-VERSION/METHOD/submission.json` with its records, for all that there are.

    Raises:
        TaskmarkError: if there is no such folder, or one of them is not valid, or not what its
            hashes say.
    """
    if not folder.is_dir():
        raise TaskmarkError(
            f"There is no folder of submissions {str(folder)!r}; give one that `taskmark submit` "
            "wrote to, or leave --submissions out."
        )
    return [read_submission(path.parent) for path in sorted(folder.glob(f"*/*/{FILE}"))]


def _check_file(path: Path, sha256: str, cure: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TaskmarkError(
            f"The method's file {str(path)!r} cannot be read ({error.strerror or error}); {cure}"
        ) from error
    if found != sha256:
        raise TaskmarkError(
            f"The method's file {str(path)!r} is not the one that made the records; run it again "
            f"and {cure}"
        )
