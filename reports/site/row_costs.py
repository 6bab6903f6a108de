"""What a row cost, as means over its records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.reports.site.number_formats import mean_of

if TYPE_CHECKING:
    from taskmark.records.record import Record
    from taskmark.reports.rows import Row

BYTES_PER_NUMBER = 4


@dataclass(frozen=True, slots=True)
class CostCell:
    """Means over the records of a row; None where no record says.

    Attributes:
        edit_seconds: wall clock of the method itself.
        extra_bytes: stored beside one model.
        images: different images of train and validation that the method looked at.
        labels: how many of their labels.
        trials: points of the scale search.
        gradient_images: images passed forward and backward.
    """

    edit_seconds: float | None
    extra_bytes: float | None
    images: float | None
    labels: float | None
    trials: float | None
    gradient_images: float | None


def cost(row: Row) -> CostCell:
    """Return what a row cost."""
    counted = [record.counted for record in row.records if record.counted]
    return CostCell(
        edit_seconds=mean_of(
            record.measured.edit_seconds if record.measured else None for record in row.records
        ),
        extra_bytes=mean_of(extra_bytes(record) for record in row.records),
        images=mean_of(touched(record, "images") for record in row.records),
        labels=mean_of(touched(record, "labels") for record in row.records),
        trials=mean_of(cost.trials for cost in counted),
        gradient_images=mean_of(cost.gradient_images for cost in counted),
    )


def extra_bytes(record: Record) -> int | None:
    """Bytes stored beside one model; older records count numbers alone."""
    if record.storage:
        return record.storage.extra_bytes
    return BYTES_PER_NUMBER * record.counted.extra_parameters if record.counted else None


def touched(record: Record, kind: str) -> int | None:
    """How many images, or labels, the method looked at."""
    if record.counted is None:
        return None
    found = record.counted.data_touched.items()
    return sum(count for name, count in found if name.endswith(f"/{kind}"))
