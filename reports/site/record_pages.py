"""Records: a page each with everything it says, and the record itself as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from taskmark.reports import record_origin
from taskmark.reports.scores import ExpertBits, scores_of
from taskmark.reports.site import addresses
from taskmark.reports.site.rendering import File, render
from taskmark.reports.site.row_costs import extra_bytes
from taskmark.statistics.intervals import (
    intervals_of,
    normalised_accuracy,
    proportion_interval,
    seed_intervals,
)
from taskmark.statistics.resampling import RESAMPLES, replicates_by_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.records.record import Record, TaskResult
    from taskmark.reports.board import Board
    from taskmark.reports.site.content import Content
    from taskmark.statistics.resampling import Scores

    Share: TypeAlias = tuple[float, float, float]
    OwnShares: TypeAlias = dict[str, dict[str, Share]]


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A result with what the record leaves out; shares are a value and the ends of its interval.

    Attributes:
        result: of the record.
        normalised: as a share of the experts of the board's ruler.
        own: as a share of the experts of the record's own recipe.
        disagreement: the interval of it.
    """

    result: TaskResult
    normalised: Share
    own: Share
    disagreement: tuple[float, float]


def record_pages(content: Content) -> Iterator[File]:
    """Render every record that stands on a board."""
    seen = set()
    for edition in content.editions:
        for board in edition.boards:
            own = _own_shares(board)
            for row in board.rows:
                for record in row.records:
                    if record.record_id in seen:  # one without tasks stands on several boards
                        continue
                    seen.add(record.record_id)
                    yield render(
                        "record.html",
                        addresses.record(record),
                        content,
                        edition=edition,
                        board=board,
                        row=row,
                        record=record,
                        results=_results(board, record, own),
                        mean=_mean(board, record),
                        command=record_origin.command(record),
                        code=record_origin.code(record),
                        environment=record_origin.environment(record.provenance),
                        extra_bytes=extra_bytes(record),
                    )
                    text = record.model_dump_json() + "\n"
                    yield File(addresses.record_json(record), text.encode())


def _results(board: Board, record: Record, own: OwnShares) -> list[TaskLine]:
    shares = _shares(board, record, own)
    return [
        TaskLine(
            result=result,
            normalised=shares[result.task][0],
            own=shares[result.task][1],
            disagreement=proportion_interval(round(result.disagreement * result.n), result.n),
        )
        for result in record.tasks
    ]


def _mean(board: Board, record: Record) -> Share | None:
    """The normalised accuracy of a record: the board's where it has that of this record."""
    if board.ruler is None or not record.tasks:
        return None
    for row in board.by_seed.get(record.seeds.expert, board).rows:
        if row.cells and row.records == (record,):
            spread = row.intervals
            return row.normalised_accuracy, spread.normalised_low, spread.normalised_high
    return _share(scores_of([record], board.ruler))


def _shares(board: Board, record: Record, own: OwnShares) -> dict[str, tuple[Share, Share]]:
    """By task, the shares of the ruler's experts and of the record's own."""
    if board.ruler is None or not record.tasks:
        return {}
    of_seed = board.by_seed.get(record.seeds.expert, board)
    found: dict[str, Share] = {}
    for row in of_seed.rows:
        if row.cells and row.records == (record,):
            found = {
                cell.task: (cell.normalised_accuracy, cell.normalised_low, cell.normalised_high)
                for cell in row.cells
            }
    tasks = [result.task for result in record.tasks]
    if not found:
        found = {t: _share(scores_of([record], board.ruler, tasks=[t])) for t in tasks}
    if board.ruler.is_own(record):
        return {task: (found[task], found[task]) for task in tasks}
    return {task: (found[task], own[record.record_id][task]) for task in tasks}


def _own_shares(board: Board) -> OwnShares:
    """Shares of the own recipe's experts, of the records whose experts are not those of the ruler.

    All records of a seed are resampled together.
    """
    records = [record for row in board.rows for record in row.records]
    apart: dict[int, list[Record]] = {}
    for record in records:
        if board.ruler and record.tasks and not board.ruler.is_own(record):
            apart.setdefault(record.seeds.expert, []).append(record)
    experts = ExpertBits(records)
    found: dict[str, dict[str, Share]] = {}
    for of_seed in apart.values():
        scores = [scores_of([record], experts) for record in of_seed]
        drawn = replicates_by_task(scores, RESAMPLES, np.random.default_rng(0))
        for task, of_task in drawn:
            values = of_task.normalised[0].mean(axis=1).tolist()
            for record, value, spread in zip(of_seed, values, intervals_of(of_task), strict=True):
                share = value, spread.normalised_low, spread.normalised_high
                found.setdefault(record.record_id, {})[task] = share
    return found


def _share(scores: Scores) -> Share:
    ((seed, correct),) = scores.correct.items()
    spread = seed_intervals(scores)
    value = normalised_accuracy(correct, scores.reference[seed])
    return value, spread.normalised_low, spread.normalised_high
