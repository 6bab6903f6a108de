"""Submitting: gather the records of a method, check them, and write the folder to commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError
from taskmark.plugins.submission import FILE, Submission
from taskmark.records.record_files import write_record
from taskmark.suite.suite_file import find_suites, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskmark.plugins.registry import Found
    from taskmark.records.record import Record
    from taskmark.records.suite_facts import SuiteFacts

_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*")


@dataclass(frozen=True, slots=True)
class SubmittedCode:
    """Where the code of a submitted method is: a file to commit, or a published package."""

    found: Found
    package: str | None = None

    @property
    def command(self) -> str:
        """How its records are made, for sentences."""
        plugin = f" --plugin {self.found.source}" if self.found.origin == "file" else ""
        return f"taskmark run{plugin} --method {self.found.method.name}"


def check_source(source: SubmittedCode) -> None:
    """Check that a reader of the submission can get at the code.

    Raises:
        TaskmarkError: if it is a package that is not named, or not pinned, or a built-in method.
    """
    name, origin = source.found.method.name, source.found.origin
    if origin == "built-in":
        raise TaskmarkError(
            f"The method {name!r} is built in, so its rows are made by the project; submit a file "
            "or a package."
        )
    if origin == "package" and source.package is None:
        raise TaskmarkError(
            f"The method {name!r} comes from the package {source.found.distribution!r}; name the "
            f"published one with --package {source.found.distribution}==VERSION."
        )
    if origin == "file" and source.package is not None:
        raise TaskmarkError(
            f"The method {name!r} comes from the file {str(source.found.source)!r}, not from "
            f"{source.package!r}; leave --package out, or the file."
        )
    if source.package is not None and not _PINNED.fullmatch(source.package):
        raise TaskmarkError(f"The package {source.package!r} is not pinned; write name==version.")


def own_records(records: Sequence[Record], source: SubmittedCode, out: Path) -> list[Record]:
    """The records that a method's present code made, all fit to be submitted.

    Raises:
        TaskmarkError: if there are none, or one failed, is of a tree with changes, or was made by
            other code.
    """
    name = source.found.method.name
    own = [record for record in records if record.method.name == name]
    if not own:
        raise TaskmarkError(
            f"There are no records of {name!r} in {str(out)!r}; make them with "
            f"`{source.command} --out {out}`."
        )
    for record in own:
        row = f"The row of {name!r} on {record.backbone} under {record.recipe}"
        if record.state != "ok":
            raise TaskmarkError(
                f"{row} is {record.state} ({record.reason}); mend the method, run it again, and "
                "submit rows that are whole."
            )
        if record.experts is not None:
            raise TaskmarkError(
                f"{row} stands on experts of {record.experts.family}, which nobody who checks it "
                "has; submit rows on the suite's own, run without --experts."
            )
        if record.method.source_sha256 != source.found.source_sha256():
            raise TaskmarkError(
                f"{row} was made by other code than {source.found.source} holds now; run "
                f"`{source.command} --out {out}` again."
            )
        if record.provenance.dirty:
            raise TaskmarkError(
                f"{row} was made by a tree of taskmark with changes that are not committed; run it "
                "with a released or committed taskmark."
            )
        if record.method.origin == "package" and record.method.dirty:
            raise TaskmarkError(
                f"{row} was made by a package with changes that are not committed; install "
                f"{source.package} and run it again."
            )
    return own


def write_submissions(records: Sequence[Record], source: SubmittedCode, to: Path) -> list[Path]:
    """Write one folder a suite, `SUITE-VERSION/METHOD`.

    Args:
        records: what `own_records` returned.
        source: the code.
        to: the folder of all submissions.

    Returns:
        The folders.

    Raises:
        TaskmarkError: if a suite is not one that is shipped, lacks a backbone that it runs unless
            asked otherwise, or if a folder is there already or cannot be written.
    """
    by_suite: dict[SuiteFacts, list[Record]] = {}
    for record in records:
        by_suite.setdefault(record.suite, []).append(record)
    for facts, own in by_suite.items():
        _check_complete(facts, own, source)
    return [_write(facts, own, source, to) for facts, own in by_suite.items()]


def _check_complete(facts: SuiteFacts, records: Sequence[Record], source: SubmittedCode) -> None:
    label = facts.label
    suites = find_suites()
    if label not in suites or read(suites[label]).sha256 != facts.sha256:
        raise TaskmarkError(
            f"The records are of {label}, which is not a suite that this taskmark ships; run a "
            f"whole suite, such as `{source.command} --suite mini`."
        )
    here = {record.backbone for record in records}
    for backbone in read(suites[label]).default_backbones:
        if backbone not in here:
            raise TaskmarkError(
                f"There is no record of {source.found.method.name!r} on the backbone {backbone!r} "
                f"of {label}; run `{source.command} --suite {label}` without --backbone."
            )


def _write(facts: SuiteFacts, records: Sequence[Record], source: SubmittedCode, to: Path) -> Path:
    method = source.found.method.name
    folder = to / f"{facts.name}-{facts.version}" / method
    if folder.exists():
        raise TaskmarkError(
            f"There is a submission in {str(folder)!r} already; delete the folder to submit anew."
        )
    file = source.found.source if source.found.origin == "file" else None
    submission = Submission(
        method=method,
        suite=facts,
        file=file.name if file else None,
        package=source.package,
        source_sha256=source.found.source_sha256(),
        records=tuple(sorted(record.record_id for record in records)),
    )
    for record in records:
        write_record(folder, record)
    if file:
        write_atomically(folder / file.name, file.read_bytes())
    write_state(folder, submission)
    return folder


def write_state(folder: Path, submission: Submission) -> None:
    """Write what a submission says of itself.

    Raises:
        TaskmarkError: if the folder cannot be written.
    """
    write_atomically(folder / FILE, (submission.model_dump_json(indent=1) + "\n").encode())
