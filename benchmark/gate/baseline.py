"""A baseline: the counts of one run in a small reviewed file, the bits of its images beside it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError, first_fault
from taskmark.gate.compare import RowResult, Rows
from taskmark.records.frozen import Frozen, digest
from taskmark.records.identity import RowIdentity, canonical_json
from taskmark.records.packing import unpack_bits
from taskmark.records.suite_facts import SuiteFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from taskmark.records.record import Record

_CURE = 'take the committed file, or write a new one with `taskmark compare --accept "reason"`.'


class BaselineRow(Frozen):
    """One row, with how many test images it got right, by task."""

    backbone: str
    recipe: str
    method: str
    hyperparameters: dict[str, Any]
    expert_seed: int
    method_seed: int
    scale: float | None
    correct: dict[str, int]


class Baseline(Frozen):
    """The rows of one suite that a change is held against.

    Attributes:
        baseline_id: SHA-256 of everything else.
        suite: the suite, whose hash covers its data and weights.
        commits: of taskmark, that made the rows.
        devices: that they were made on.
        libraries: versions that they were made with.
        images: test images of each task.
        bits_sha256: hash of the file with the bits, `NAME.bits.json` beside `NAME.json`: for each
            row, in the same order, the bits of each task as in `TaskResult`.
        rows: in the order of their names.
    """

    schema_version: Literal[1] = 1
    baseline_id: str = ""
    suite: SuiteFacts
    commits: tuple[str, ...]
    devices: tuple[str, ...]
    libraries: dict[str, str]
    images: dict[str, int]
    bits_sha256: str
    rows: tuple[BaselineRow, ...]

    def with_baseline_id(self) -> Baseline:
        """Return the same baseline with its id filled in."""
        content = self.model_dump(mode="json", exclude={"baseline_id"})
        content["suite"] = self.suite.content()
        return self.model_copy(update={"baseline_id": digest(content)})

    def identities(self) -> list[RowIdentity]:
        """What identifies each row, as of records."""
        return [
            RowIdentity(
                suite=self.suite.label,
                backbone=row.backbone,
                recipe=row.recipe,
                method=row.method,
                hyperparameters=canonical_json(row.hyperparameters),
                expert_seed=row.expert_seed,
                method_seed=row.method_seed,
            )
            for row in self.rows
        ]


def bits_path(path: Path) -> Path:
    """Where the bits of a baseline lie."""
    return path.with_suffix(".bits.json")


def baseline_of(records: Sequence[Record]) -> tuple[Baseline, bytes]:
    """Make a baseline from records -> it and the content of the file of bits.

    Raises:
        TaskmarkError: if there are none, or one is not fit: failed, made of a dirty tree, or of
            another suite than the first.
    """
    if not records:
        raise TaskmarkError("There are no records to accept; run the suite first.")
    for record in records:
        _check_fit(record, records[0])
    ordered = sorted(records, key=_order)
    bits = [{task.task: task.bits for task in record.tasks} for record in ordered]
    content = _one_a_line(bits).encode()
    first = ordered[0]
    baseline = Baseline(
        suite=first.suite,
        commits=tuple(sorted({r.provenance.commit for r in ordered if r.provenance.commit})),
        devices=tuple(sorted({record.provenance.device for record in ordered})),
        libraries=first.provenance.libraries,
        images={task.task: task.n for task in first.tasks},
        bits_sha256=hashlib.sha256(content).hexdigest(),
        rows=tuple(
            BaselineRow(
                backbone=record.backbone,
                recipe=record.recipe,
                method=record.method.name,
                hyperparameters=record.method.model_dump(mode="json")["hyperparameters"],
                expert_seed=record.seeds.expert,
                method_seed=record.seeds.method,
                scale=record.scale,
                correct={task.task: task.n_correct for task in record.tasks},
            )
            for record in ordered
        ),
    )
    return baseline.with_baseline_id(), content


def write_baseline(path: Path, baseline: Baseline, bits: bytes) -> None:
    """Write both files; the one with the counts, which names the hash of the other, last.

    Raises:
        TaskmarkError: if one cannot be written.
    """
    values = baseline.model_dump(mode="json")
    rows = values.pop("rows")
    head = json.dumps(values, indent=1)[: -len("\n}")]
    write_atomically(bits_path(path), bits)
    write_atomically(path, f'{head},\n "rows": {_one_a_line(rows)[:-1]}\n}}\n'.encode())


def read_baseline(path: Path) -> Baseline:
    """Read the counts.

    Raises:
        TaskmarkError: if the file is not there, truncated, of another form, or was changed by hand.
    """
    content = _content(path)
    try:
        baseline = Baseline.model_validate_json(content)
    except ValidationError as error:
        place, fault = first_fault(error)
        raise TaskmarkError(
            f"The file {str(path)!r} is no valid baseline ({place}: {fault}); {_CURE}"
        ) from error
    if baseline.with_baseline_id().baseline_id != baseline.baseline_id:
        raise TaskmarkError(
            f"The baseline {str(path)!r} was changed after it was made: its content does not hash "
            f"to its baseline_id {baseline.baseline_id[:12]!r}; {_CURE}"
        )
    for key, count in Counter(baseline.identities()).items():
        if count > 1:
            raise TaskmarkError(
                f"The baseline {str(path)!r} has the row {key.backbone} {key.recipe} {key.method} "
                f"{count} times; {_CURE}"
            )
    return baseline


def baseline_rows(path: Path, baseline: Baseline) -> Rows:
    """Read the bits of a baseline -> its rows.

    Raises:
        TaskmarkError: if the file of bits is not there or does not belong to the baseline.
    """
    content = _content(bits_path(path))
    if hashlib.sha256(content).hexdigest() != baseline.bits_sha256:
        raise TaskmarkError(
            f"The bits {str(bits_path(path))!r} do not belong to the baseline {str(path)!r}: "
            f"their hash is not {baseline.bits_sha256[:12]!r}; {_CURE}"
        )
    return {
        key: RowResult(
            ok=True,
            reason="",
            built_in=True,
            scale=row.scale,
            correct={task: unpack_bits(text, baseline.images[task]) for task, text in bits.items()},
        )
        for key, row, bits in zip(
            baseline.identities(), baseline.rows, json.loads(content), strict=True
        )
    }


def check_same_suite(path: Path, baseline: Baseline, records: Iterable[Record]) -> None:
    """Check that records can be held against a baseline.

    Raises:
        TaskmarkError: if a record is of another suite, version or definition.
    """
    for record in records:
        if record.suite != baseline.suite:
            ours, theirs = (
                f"{suite.label} ({suite.sha256[:12]})" for suite in (baseline.suite, record.suite)
            )
            raise TaskmarkError(
                f"The baseline {str(path)!r} is of the suite {ours}, but a record is of {theirs}; "
                "run the baseline's suite, or name the baseline of the suite that was run."
            )


def _check_fit(record: Record, first: Record) -> None:
    row = f"The row {record.backbone} {record.recipe} {record.method.name}"
    if record.state != "ok":
        raise TaskmarkError(
            f"{row} is {record.state} ({record.reason}), which is nothing to hold a change "
            "against; mend it, or leave it out of the run."
        )
    if record.provenance.dirty:
        raise TaskmarkError(
            f"{row} was made by a tree with changes that are not committed; commit them and run "
            "again, with a new store and a new folder, before you accept it."
        )
    if record.suite != first.suite or not _same_images(record, first):
        raise TaskmarkError(
            f"{row} is of another suite, or other tasks of it, than the first one; a baseline is "
            "of one suite: accept the records of one run."
        )


def _same_images(one: Record, other: Record) -> bool:
    return {t.task: t.n for t in one.tasks} == {t.task: t.n for t in other.tasks}


def _order(record: Record) -> tuple[str, ...]:
    method = record.method
    seeds = f"{record.seeds.expert:020d} {record.seeds.method:020d}"
    return record.backbone, record.recipe, method.name, str(method.hyperparameters), seeds


def _one_a_line(values: Sequence[object]) -> str:
    """A JSON list whose every item has a line, so that a review shows the rows that changed."""
    lines = ",\n".join(f"  {json.dumps(value, sort_keys=True)}" for value in values)
    return f"[\n{lines}\n ]\n"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TaskmarkError(
            f"The baseline {str(path)!r} cannot be read ({error.strerror}); {_CURE}"
        ) from error
