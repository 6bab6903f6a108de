"""The localisation records of an output folder, and the line that a terminal shows of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.records.localisation_record import LocalisationRecord
from taskmark.records.metric_files import read_newest

if TYPE_CHECKING:
    from pathlib import Path


def read_localisation(out: Path) -> list[LocalisationRecord]:
    """Read `out/localisation/*.json`, of each suite and backbone the newest.

    Raises:
        TaskmarkError: if a file is not a record or is not what its id says.
    """
    return read_newest(out, "localisation", LocalisationRecord, lambda record: (record.backbone,))


def line(record: LocalisationRecord) -> str:
    """What a record found: the mean over pairs with its standard errors, beside chance."""
    found = record.localisation
    pairs = "1 pair" if len(record.pairs) == 1 else f"{len(record.pairs)} pairs"
    return (
        f"NTK localisation, {record.backbone}, {pairs}: "
        f"{found.value:.3f} (s.e. {found.image_error:.3f} by images, "
        f"{found.direction_error:.3f} by directions), "
        f"tasks shuffled {found.null_mean:.3f} [{found.null_low:.3f}, {found.null_high:.3f}]"
    )
