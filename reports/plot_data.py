"""What the figures show, from boards and maps: scale curves, prices, numbers of tasks, errors."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row


@dataclass(frozen=True, slots=True)
class Curve:
    """Normalised validation accuracy of one row over the scales tried, mean over its seeds."""

    row: Row
    scales: tuple[float, ...]
    heights: tuple[float, ...]
    chosen: tuple[tuple[float, float], ...]


def curves(board: Board) -> list[Curve]:
    """Return the scale curves of a board, for rows whose scale was searched."""
    found = []
    for row in board.rows:
        points: dict[float, list[float]] = defaultdict(list)
        chosen = set()
        for record in row.records:
            for trial in record.curve:
                points[trial.scale].append(trial.normalised_accuracy)
                if trial.scale == record.scale:
                    chosen.add(trial.scale)
        if len(points) > 1:
            heights = {scale: float(np.mean(points[scale])) for scale in sorted(points)}
            found.append(
                Curve(
                    row=row,
                    scales=tuple(heights),
                    heights=tuple(heights.values()),
                    chosen=tuple((scale, heights[scale]) for scale in sorted(chosen)),
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class PricedRow:
    """A row with its cost in seconds; `on_front` if none is both cheaper and more accurate."""

    row: Row
    seconds: float
    on_front: bool


def edit_seconds(row: Row) -> float | None:
    """Mean seconds of the edit over the records of a row, None where none was measured."""
    measured = [record.measured.edit_seconds for record in row.records if record.measured]
    return fmean(measured) if measured else None


def priced_rows(board: Board) -> list[PricedRow]:
    """Return the ranked rows whose seconds were measured, cheapest first.

    The front is the Pareto front: no row on it is beaten at its price.
    """
    priced = []
    for row in board.ranked:
        seconds = edit_seconds(row)
        if seconds is not None:
            priced.append((seconds, row))
    priced.sort(key=lambda found: (found[0], -found[1].normalised_accuracy, found[1].key))
    best = float("-inf")
    found = []
    for seconds, row in priced:
        found.append(PricedRow(row, seconds, row.normalised_accuracy > best))
        best = max(best, row.normalised_accuracy)
    return found


@dataclass(frozen=True, slots=True)
class Ladder:
    """Boards of one backbone whose tasks contain each other, fewest tasks first.

    `rows` are those that have a score on two boards at least: key -> number of tasks -> row.
    """

    boards: tuple[Board, ...]
    rows: dict[str, dict[int, Row]]


_ALIKE = ("backbone", "heads", "family")


def ladder(board: Board, others: Iterable[Board]) -> Ladder | None:
    """Find the boards whose tasks are some of those of a board.

    A step is a board of the same backbone, kind of heads and family of experts whose tasks are
    among those of the step above. Of several boards with the same number of tasks the first counts,
    and none that has as many tasks as the board itself: that is another suite, not fewer tasks.

    Args:
        board: the top of the ladder.
        others: boards of any suite.

    Returns:
        The ladder, None if it has one step alone.
    """
    steps = [board]
    for other in sorted(others, key=lambda b: (-len(b.tasks), b.suite.name, b.suite.version)):
        if not other.tasks or not set(other.tasks) < set(steps[-1].tasks):
            continue
        if all(getattr(other, name) == getattr(board, name) for name in _ALIKE):
            steps.append(other)
    if len(steps) == 1:
        return None
    steps.reverse()
    found: dict[str, dict[int, Row]] = {}
    for step in steps:
        for row in step.measured:
            found.setdefault(row.key, {})[len(step.tasks)] = row
    several = {key: of_row for key, of_row in found.items() if len(of_row) > 1}
    return Ladder(tuple(steps), dict(sorted(several.items())))


def largest_error(records: Sequence[DisentanglementRecord]) -> float:
    """End of the common colour scale: the largest mean over pairs, rounded up to a tenth."""
    largest = max((float(mean_over_pairs(record).max()) for record in records), default=0.0)
    return min(2.0, max(0.1, math.ceil(largest * 10) / 10))


def mean_over_pairs(record: DisentanglementRecord) -> NDArray[np.float64]:
    """Return xi averaged over the pairs of tasks, [alpha_1, alpha_2]."""
    if not record.pairs:
        return np.zeros((len(record.alphas), len(record.alphas)))
    mean: NDArray[np.float64] = np.mean([pair.xi for pair in record.pairs], axis=0)
    return mean
