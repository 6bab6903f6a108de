"""Boards: one page a backbone, and one for each of its seeds alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from taskmark.reports.definitions import RECIPES, TRACKS
from taskmark.reports.leaders import answer
from taskmark.reports.site import addresses, citations
from taskmark.reports.site.rendering import render
from taskmark.reports.site.row_costs import cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row
    from taskmark.reports.site.content import Content, Edition
    from taskmark.reports.site.rendering import File


def board_pages(content: Content) -> Iterator[File]:
    """Render every board."""
    for edition in content.editions:
        for board in edition.boards:
            yield _page(content, edition, board, board, None)
            for seed, of_seed in board.by_seed.items():
                yield _page(content, edition, board, of_seed, seed)


def _page(content: Content, edition: Edition, whole: Board, board: Board, seed: int | None) -> File:
    rows = board.rows
    return render(
        "board.html",
        addresses.board(edition, whole, seed),
        content,
        edition=edition,
        whole=whole,
        board=board,
        seed=seed,
        axis=axis(rows),
        cost=cost,
        answer=answer(board),
        shares_rank=lambda row: shares_rank(board, row),
        recipes=in_order({row.recipe for row in rows}),
        tracks=[track for track in TRACKS if any(row.method.track == track for row in rows)],
        citations=citations.entries(rows),
        notes=common_notes(rows),
    )


def common_notes(rows: Sequence[Row]) -> list[str]:
    """The data notes that all rows with a score share, which hold for the whole board."""
    noted = [record.provenance.notes for row in rows if row.cells for record in row.records]
    return [note for note in noted[0] if all(note in notes for notes in noted)] if noted else []


def axis(rows: Sequence[Row]) -> tuple[float, float]:
    """Ends of the range bars, common to all rows with a score, in tenths."""
    spreads = [row.intervals for row in rows if row.cells]
    low = min((spread.normalised_low for spread in spreads), default=0.0)
    high = max((spread.normalised_high for spread in spreads), default=1.0)
    high = max(1.0, math.ceil(high * 10) / 10)
    return min(math.floor(low * 10) / 10, high - 0.1), high


def in_order(recipes: set[str]) -> list[str]:
    """Recipes in the order of their definitions, others after them."""
    return [recipe for recipe in RECIPES if recipe in recipes] + sorted(recipes - set(RECIPES))


def shares_rank(board: Board, row: Row) -> bool:
    """Tell whether another row of the board has the same rank."""
    ranks = [other.standing.rank for other in board.ranked if other.standing]
    return row.standing is not None and ranks.count(row.standing.rank) > 1
