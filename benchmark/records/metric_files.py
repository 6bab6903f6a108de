"""Reading back the records of metrics that a run makes when asked, from its output folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from taskmark.records.localisation_record import LocalisationRecord
from taskmark.records.negation_record import NegationRecord
from taskmark.records.record import digest
from taskmark.records.record_files import age, read_folder

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
        TaskmarkError: if a file cannot be read, is not a record, or is not what its id says.
    """
    found = read_folder(out / metric, schema, command=f"taskmark run --{metric}")
    found.sort(key=age)
    newest = {digest([made.suite.model_dump(), about(made)]): made for made in found}  # the last
    return sorted(newest.values(), key=lambda made: (*about(made), made.record_id))
