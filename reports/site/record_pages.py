"""Records: a page each with everything it says, and the record itself as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.reports import record_origin
from taskmark.reports.scores import ExpertBits, scores_of
from taskmark.reports.site import addresses
from taskmark.reports.site.rendering import File, render
from taskmark.reports.site.row_costs import extra_bytes
from taskmark.statistics.intervals import proportion_interval, seed_intervals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.records.record import Record, TaskResult
    from taskmark.reports.board import Board
    from taskmark.reports.site.content import Content


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A result with the intervals that the record leaves out."""

    result: TaskResult
    normalised: tuple[float, float]
    disagreement: tuple[float, float]


def record_pages(content: Content) -> Iterator[File]:
    """Render every record that stands on a board."""
    seen = set()
    for edition in content.editions:
        for board in edition.boards:
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
                        results=_results(board, record),
                        command=record_origin.command(record),
                        code=record_origin.code(record),
                        environment=record_origin.environment(record.provenance),
                        extra_bytes=extra_bytes(record),
                    )
                    text = record.model_dump_json() + "\n"
                    yield File(addresses.record_json(record), text.encode())


def _results(board: Board, record: Record) -> list[TaskLine]:
    ratios = _normalised(board, record)
    return [
        TaskLine(
            result=result,
            normalised=ratios[result.task],
            disagreement=proportion_interval(round(result.disagreement * result.n), result.n),
        )
        for result in record.tasks
    ]


def _normalised(board: Board, record: Record) -> dict[str, tuple[float, float]]:
    """Intervals of normalised accuracy by task: the board's where it has them of this record."""
    of_seed = board.by_seed.get(record.seeds.expert, board)
    for row in of_seed.rows:
        if row.cells and row.records == (record,):
            return {cell.task: (cell.normalised_low, cell.normalised_high) for cell in row.cells}
    experts = ExpertBits(other for row in board.rows for other in row.records)
    found = {}
    for result in record.tasks:
        spread = seed_intervals(scores_of([record], experts, tasks=[result.task]))
        found[result.task] = (spread.normalised_low, spread.normalised_high)
    return found
