"""Which methods no other beats at their price: the Pareto front of accuracy and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row


@dataclass(frozen=True, slots=True)
class Point:
    """A row with its cost in seconds; `on_front` if none is both cheaper and more accurate."""

    row: Row
    seconds: float
    on_front: bool


def points(board: Board) -> list[Point]:
    """Return the ranked rows whose seconds were measured, cheapest first."""
    priced = []
    for row in board.ranked:
        measured = [record.measured.edit_seconds for record in row.records if record.measured]
        if measured:
            priced.append((fmean(measured), row))
    priced.sort(key=lambda found: (found[0], -found[1].normalised_accuracy, found[1].key))
    best = float("-inf")
    found = []
    for seconds, row in priced:
        found.append(Point(row, seconds, row.normalised_accuracy > best))
        best = max(best, row.normalised_accuracy)
    return found
