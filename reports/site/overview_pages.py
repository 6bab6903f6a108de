"""Overviews: every method on every backbone of an edition; that of the first is the home page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.reports import leaders, pictures, plot_data
from taskmark.reports.definitions import TRACKS
from taskmark.reports.evidence import CONTROL
from taskmark.reports.site import addresses, citations
from taskmark.reports.site.board_pages import axis, in_order
from taskmark.reports.site.number_formats import needs
from taskmark.reports.site.rendering import render
from taskmark.reports.site.row_costs import cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row
    from taskmark.reports.site.content import Content, Edition
    from taskmark.reports.site.rendering import File


@dataclass(frozen=True, slots=True)
class OverviewLine:
    """A method under a recipe on all backbones, None where it has no row.

    `unbeaten` counts the backbones but the control on which it is in the first tier, of the
    `n_ranked` on which it is ranked.
    """

    rows: tuple[Row | None, ...]
    unbeaten: int
    n_ranked: int

    @property
    def row(self) -> Row:
        """One of its rows, for what they share."""
        return next(row for row in self.rows if row)


def overview_pages(content: Content) -> Iterator[File]:
    """Render the overview of every edition."""
    if not content.editions:
        yield render("empty.html", addresses.HOME, content)
    for place, edition in enumerate(content.editions):
        boards = columns(edition)
        groups = lines(boards)
        rows = [row for board in boards for row in board.rows]
        yield render(
            "overview.html",
            addresses.overview(edition, default=place == 0),
            content,
            edition=edition,
            home=place == 0,
            boards=boards,
            groups=groups,
            axis=axis(rows),
            control=CONTROL,
            answers=answers(boards),
            others=[
                (other, [(board, found) for board, found, _ in answers(columns(other))])
                for other in content.editions
            ]
            if place == 0 and len(content.editions) > 1
            else [],
            cost=cost,
            needs=needs,
            recipes=in_order({row.recipe for row in rows}),
            tracks=[track for track in TRACKS if any(row.method.track == track for row in rows)],
            citations=citations.entries(rows),
        )


def columns(edition: Edition) -> tuple[Board, ...]:
    """The largest board of every backbone, the control last."""
    names = sorted(edition.backbones, key=lambda name: (name == CONTROL, name))
    return tuple(found[0] for name in names if (found := edition.boards_of(name)))


def answers(
    boards: tuple[Board, ...],
) -> list[tuple[Board, leaders.Answer, pictures.CostPicture | None]]:
    """What the boards with ranks answer, with a picture of each; the control only if alone."""
    ranked = [board for board in boards if board.ranked]
    shown = [board for board in ranked if board.backbone != CONTROL] or ranked
    found = ((board, leaders.answer(board)) for board in shown)
    return [
        (board, one, pictures.cost_picture(board, plot_data.priced_rows(board)))
        for board, one in found
        if one
    ]


def lines(boards: tuple[Board, ...]) -> dict[str, list[OverviewLine]]:
    """Lines by kind: those that compete, those apart, references, and those without a score."""
    keys = dict.fromkeys(row.key for board in boards for row in board.rows)
    groups: dict[str, list[OverviewLine]] = {
        "ranked": [],
        "apart": [],
        "references": [],
        "unranked": [],
    }
    for key in keys:
        found = tuple(next((row for row in board.rows if row.key == key), None) for board in boards)
        line = OverviewLine(
            rows=found,
            unbeaten=sum(
                row is not None and row.standing is not None and row.standing.rank == 1
                for board, row in zip(boards, found, strict=True)
                if board.backbone != CONTROL
            ),
            n_ranked=sum(
                row is not None and row.standing is not None
                for board, row in zip(boards, found, strict=True)
                if board.backbone != CONTROL
            ),
        )
        groups[_group(found)].append(line)
    for group in groups.values():
        group.sort(key=_order)
    return groups


def _group(rows: tuple[Row | None, ...]) -> str:
    known = [row for row in rows if row]
    if any(row.method.role == "reference" for row in known):
        return "references" if any(row.cells for row in known) else "unranked"
    if any(row.standing for row in known):
        return "ranked"
    return "apart" if any(row.state == "ok" for row in known) else "unranked"


def _order(line: OverviewLine) -> tuple[float, float, str]:
    """Most often in the first tier first; then by the mean score, which alone ranks nothing."""
    scores = [row.normalised_accuracy for row in line.rows if row and row.cells]
    return -line.unbeaten, -sum(scores) / max(len(scores), 1), line.row.key
