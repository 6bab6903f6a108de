"""Who leads a board, on each track, and which method of a tie asks for less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskmark.reports.plot_data import edit_seconds
from taskmark.statistics.uncertainty import LEVEL

if TYPE_CHECKING:
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row

TRACK_ORDER = ("weights", "unlabelled", "labelled")
"""From the track that asks for least to the one that asks for most."""

_SPARED = {
    ("labelled", "unlabelled"): "no labels",
    ("labelled", "weights"): "no images and no labels",
    ("unlabelled", "weights"): "no images",
}
_FASTER = 2.0  # from so many times on, a saving of time is worth a word


@dataclass(frozen=True, slots=True)
class Answer:
    """What a board says to somebody who asks which method to use.

    Attributes:
        best: the row with the highest score.
        tied: the rows that cannot be told from it, best first.
        least: of these the one that asks for less than the best: of an earlier track, or of the
            same and in less than half of the time. None where there is no such.
        spared: what it asks for less, in words, such as "no labels and 1/60 of the time to edit".
        leaders: the best row of each track, in the order of what they ask for.
        n_neighbours: pairs of rows next to each other in the order of the scores.
        n_apart: of these, pairs that differ beyond chance.
    """

    best: Row
    tied: tuple[Row, ...]
    least: Row | None
    spared: str
    leaders: tuple[Row, ...]
    n_neighbours: int
    n_apart: int


def answer(board: Board) -> Answer | None:
    """Answer from a board; None where nothing is ranked."""
    if not board.ranked or board.pairs is None:
        return None
    best = board.ranked[0]
    apart = board.pairs.p_value < LEVEL
    rest = zip(board.ranked[1:], apart[0, 1:], strict=True)
    tied = tuple(row for row, differs in rest if not differs)
    least = min((best, *tied), key=_asks_for)
    spared = _spared(best, least)
    found = (
        next((row for row in board.ranked if row.method.track == track), None)
        for track in TRACK_ORDER
    )
    return Answer(
        best=best,
        tied=tied,
        least=least if spared else None,
        spared=spared,
        leaders=tuple(row for row in found if row),
        n_neighbours=len(board.ranked) - 1,
        n_apart=int(np.diagonal(apart, offset=1).sum()),
    )


def _asks_for(row: Row) -> tuple[int, float, str]:
    seconds = edit_seconds(row)
    place = TRACK_ORDER.index(row.method.track)
    return place, float("inf") if seconds is None else seconds, row.key


def _spared(best: Row, least: Row) -> str:
    """What one row asks for less than another, in words; empty where it is nothing."""
    if best is least:
        return ""
    parts = [_SPARED.get((best.method.track, least.method.track), "")]
    before, after = edit_seconds(best), edit_seconds(least)
    if before is not None and after is not None and before >= _FASTER * after:
        parts.append(f"1/{_rounded(before / max(after, 1e-3))} of the time to edit")
    return ", and ".join(part for part in parts if part)


def _rounded(number: float) -> str:
    """A ratio to two digits: 2.4 -> 2, 64.3 -> 64, 1234 -> 1,200."""
    return f"{round(number, -max(0, len(str(int(number))) - 2)):,.0f}"
