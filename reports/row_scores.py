"""Scores of rows with their intervals, all rows of a board from the same resampled images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from taskmark.reports.rows import Cell, OwnShare
from taskmark.reports.scores import EXPERTS, scores_of
from taskmark.statistics.intervals import (
    ScoreIntervals,
    Standing,
    compare_pairs,
    intervals_of,
    normalised_accuracy,
    seed_intervals,
    standings,
)
from taskmark.statistics.resampling import RESAMPLES, mean_over_tasks, replicates_by_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskmark.reports.rows import Row
    from taskmark.reports.scores import ExpertBits, Ruler
    from taskmark.statistics.intervals import Pairs
    from taskmark.statistics.resampling import Replicates, Scores


@dataclass(frozen=True, slots=True)
class BoardReplicates:
    """Resamples of the M rows of a board.

    Attributes:
        scores: the bits of the rows.
        seeds: the S expert seeds.
        by_task: task -> replicates of its scores.
        mean: replicates of the means over tasks.
    """

    scores: tuple[Scores, ...]
    seeds: tuple[int, ...]
    by_task: dict[str, Replicates]
    mean: Replicates


def resample_rows(rows: Sequence[Row], ruler: Ruler) -> BoardReplicates:
    """Draw images for all rows at once, as `intervals.seed_intervals` does for one."""
    scores = tuple(scores_of(row.records, ruler) for row in rows)
    by_task = dict(replicates_by_task(scores, RESAMPLES, np.random.default_rng(0)))
    return BoardReplicates(
        scores=scores,
        seeds=tuple(sorted(scores[0].correct)),
        by_task=by_task,
        mean=mean_over_tasks(by_task.values()),
    )


def score_rows(
    rows: Sequence[Row],
    drawn: BoardReplicates,
    *,
    ruler: Ruler,
    experts: ExpertBits,
    seed: int | None = None,
) -> list[Row]:
    """Fill in scores and intervals: the record's own if there is one, else over the seeds.

    Args:
        rows: those that were resampled, in the same order.
        drawn: see `resample_rows`.
        ruler: the experts that normalise all rows.
        experts: those that each row stands on.
        seed: an expert seed that is looked at alone; all together by default.
    """
    by_task, mean = drawn.by_task, drawn.mean
    if seed is not None:
        place = drawn.seeds.index(seed)
        by_task = {task: of_task.of_seed(place) for task, of_task in by_task.items()}
        mean = mean.of_seed(place)
    cells = {task: list(_cells(task, of_task)) for task, of_task in by_task.items()}
    spreads = intervals_of(mean)
    found = []
    for place, row in enumerate(rows):
        records = tuple(r for r in row.records if seed is None or r.seeds.expert == seed)
        of_row = {task: of_task[place] for task, of_task in cells.items()}
        scored_row = replace(
            row,
            records=records,
            accuracy=float(mean.accuracy[0, place].mean()),
            normalised_accuracy=float(mean.normalised[0, place].mean()),
            intervals=spreads[place],
        )
        scored_row = _with_cells(scored_row, of_row, ruler)
        found.append(replace(scored_row, own=_own_share(scored_row, ruler, experts)))
    return found


def rank_rows(drawn: BoardReplicates, places: Sequence[int]) -> tuple[list[Standing], Pairs]:
    """Rank some of the rows among each other.

    Args:
        drawn: see `resample_rows`.
        places: which rows compete, at least one.

    Returns:
        Their standings in this order, and every difference between two.
    """
    competing = drawn.mean.of_competitors(places)
    pairs = compare_pairs([drawn.scores[place] for place in places], competing)
    return standings(competing, pairs), pairs


def _cells(task: str, drawn: Replicates) -> Iterator[Cell]:
    """One task of every row."""
    accuracy, normalised = drawn.accuracy[0].mean(axis=1), drawn.normalised[0].mean(axis=1)
    for place, spread in enumerate(intervals_of(drawn)):
        yield Cell(
            task=task,
            accuracy=float(accuracy[place]),
            low=spread.accuracy_low,
            high=spread.accuracy_high,
            normalised_accuracy=float(normalised[place]),
            normalised_low=spread.normalised_low,
            normalised_high=spread.normalised_high,
        )


def _own_share(row: Row, ruler: Ruler, experts: ExpertBits) -> OwnShare:
    """The row as a share of the experts of its own recipe, which are often those of the ruler."""
    spread = row.intervals
    if all(map(ruler.is_own, row.records)):
        return OwnShare(row.normalised_accuracy, spread.normalised_low, spread.normalised_high)
    scores = scores_of(row.records, experts)
    by_seed = [normalised_accuracy(scores.correct[s], scores.reference[s]) for s in scores.correct]
    value = float(np.mean(by_seed))
    if len(row.records) == 1:
        low, high = row.records[0].normalised_low, row.records[0].normalised_high
        if low is not None and high is not None:
            return OwnShare(value, low, high)
    spread = seed_intervals(scores)
    return OwnShare(value, spread.normalised_low, spread.normalised_high)


def _with_cells(row: Row, cells: Mapping[str, Cell], ruler: Ruler) -> Row:
    """Fill in the tasks in the order of the record, and what a single record says itself."""
    in_order = [cells[result.task] for result in row.records[0].tasks]
    if row.method.name == EXPERTS and all(cell.normalised_accuracy == 1 for cell in in_order):
        # Experts normalised by themselves are certain, however few images are wrong.
        in_order = [replace(cell, normalised_low=1.0, normalised_high=1.0) for cell in in_order]
    if len(row.records) > 1:
        return replace(row, cells=tuple(in_order))
    (only,) = row.records
    of_ratio = only if ruler.is_own(only) else row.intervals
    own = (
        *(only.accuracy_low, only.accuracy_high),
        *(of_ratio.normalised_low, of_ratio.normalised_high),
    )
    return replace(
        row,
        cells=tuple(
            replace(cell, low=result.low, high=result.high)
            for cell, result in zip(in_order, only.tasks, strict=True)
        ),
        intervals=ScoreIntervals(*(float("nan") if end is None else end for end in own)),
    )
