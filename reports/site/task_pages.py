"""Tasks: who does best on each, backbone by backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.reports.site import addresses
from taskmark.reports.site.overview_pages import columns
from taskmark.reports.site.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.reports.board import Board
    from taskmark.reports.rows import Cell, Row
    from taskmark.reports.site.content import Content
    from taskmark.reports.site.rendering import File


@dataclass(frozen=True, slots=True)
class Placed:
    """A row on one task."""

    row: Row
    cell: Cell


@dataclass(frozen=True, slots=True)
class OnBackbone:
    """One task on one backbone: what competes, best first, and the references."""

    board: Board
    competing: tuple[Placed, ...]
    references: tuple[Placed, ...]


def task_pages(content: Content) -> Iterator[File]:
    """Render every task of every edition."""
    for edition in content.editions:
        for task in edition.tasks:
            yield render(
                "task.html",
                addresses.task(edition, task),
                content,
                edition=edition,
                task=task,
                about=content.catalogue.task(edition.suite, task),
                found=[_on(board, task) for board in columns(edition) if task in board.tasks],
                negated=[
                    (record, negated)
                    for record in edition.negation
                    for negated in record.tasks
                    if negated.target.task == task
                ],
            )


def _on(board: Board, task: str) -> OnBackbone:
    return OnBackbone(
        board=board,
        competing=_placed((*board.ranked, *board.apart), task),
        references=_placed(board.references, task),
    )


def _placed(rows: tuple[Row, ...], task: str) -> tuple[Placed, ...]:
    found = [Placed(row, cell) for row in rows for cell in row.cells if cell.task == task]
    return tuple(sorted(found, key=lambda placed: (-placed.cell.accuracy, placed.row.key)))
