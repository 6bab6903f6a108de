"""Read the records of an output folder, trusting none that does not prove itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.records.record import (
    DisentanglementRecord,
    Record,
    points_in_unit_square,
    unpack_bits,
    unpack_counts,
)
from taskmark.records.record_files import age, read_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SAME_MEAN = 1e-9


def read_records(out: Path, submitted: Iterable[Record] = ()) -> list[Record]:
    """Read `out/records/*.json`; those that a later one supersedes are left out.

    Args:
        out: the folder that a run wrote to.
        submitted: records of submissions, which count as if they were in the folder.

    Raises:
        TaskmarkError: if a file cannot be read, is not a record, or is not what its id says.
    """
    records = [*read_folder(out / "records", Record), *submitted]
    for record in records:
        _check_counts(record)
    return latest(records)


def read_disentanglement(out: Path) -> list[DisentanglementRecord]:
    """Read `out/disentanglement/*.json`, of each backbone, recipe and seed the newest.

    Raises:
        TaskmarkError: if a file cannot be read, is not a record, or is not what its id says.
    """
    newest: dict[str, DisentanglementRecord] = {}
    for record in sorted(read_folder(out / "disentanglement", DisentanglementRecord), key=age):
        _check_images(record)
        key = (
            record.suite.model_dump(),
            record.backbone,
            record.heads,
            record.recipe,
            record.expert_seed,
        )
        newest[json.dumps(key)] = record
    return [newest[key] for key in sorted(newest)]


def latest(records: Iterable[Record]) -> list[Record]:
    """Keep of each row and set of tasks the record created last.

    A row is a suite, backbone, recipe, method with its hyper-parameters, and seeds. A record
    without tasks (failed, skipped) supersedes all earlier ones of its row, whatever their tasks,
    and is superseded by any later one.

    Returns:
        The records that count, in an order that depends on their content alone.
    """
    rows: dict[str, dict[frozenset[str], Record]] = {}
    for record in sorted(records, key=age):
        row = rows.setdefault(_row_key(record), {})
        tasks = frozenset(result.task for result in record.tasks)
        if tasks:
            row.pop(frozenset(), None)
        else:
            row.clear()
        row[tasks] = record
    kept = ((key, record) for key, row in rows.items() for record in row.values())
    return [record for _, record in sorted(kept, key=lambda kept: (kept[0], kept[1].record_id))]


def _row_key(record: Record) -> str:
    """What two records share if one can supersede the other."""
    return json.dumps(
        [
            record.suite.model_dump(),
            record.backbone,
            record.heads,
            record.recipe,
            record.method.name,
            record.method.hyperparameters,
            record.seeds.model_dump(),
        ],
        sort_keys=True,
    )


def _check_counts(record: Record) -> None:
    """Refuse a record whose bits do not add up to its counts."""
    for result in record.tasks:
        try:
            n_correct = int(unpack_bits(result.bits, result.n).sum())
        except ValueError:
            n_correct = -1
        if n_correct != result.n_correct:
            raise TaskmarkError(
                f"The record {record.record_id[:12]!r} contradicts itself: the bits of task "
                f"{result.task!r} do not add up to its n_correct {result.n_correct}; delete it "
                "and run `taskmark run` again, which makes a new one."
            )


def _check_images(record: DisentanglementRecord) -> None:
    """Refuse a map whose counts of disagreement do not add up to its mean."""
    n_points = points_in_unit_square(record.alphas)
    try:
        counts = [
            unpack_counts(images)
            for pair in record.pairs
            for images in (pair.images_1, pair.images_2)
        ]
        total = sum(float(of_task.mean()) / n_points for of_task in counts if len(of_task))
    except (ValueError, ZeroDivisionError):  # the latter where no point is in the unit square
        total = float("nan")
    if record.pairs and not abs(total / len(record.pairs) - record.unit_square) < _SAME_MEAN:
        raise TaskmarkError(
            f"The record {record.record_id[:12]!r} contradicts itself: the counts of its images do "
            f"not add up to its unit_square {record.unit_square:g}; delete it and run "
            "`taskmark run` again, which makes a new one."
        )
