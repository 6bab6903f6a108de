"""Figures of a backbone: cost, scales, tasks, pairs of methods and task vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.reports import figures, pictures, plot_data
from taskmark.reports.site import addresses
from taskmark.reports.site.overview_pages import columns
from taskmark.reports.site.rendering import render
from taskmark.reports.svg import DASHES, N_COLOURS
from taskmark.statistics.uncertainty import LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from taskmark.records.record import Geometry
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row
    from taskmark.reports.site.content import Content
    from taskmark.reports.site.rendering import File


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One series of a figure, and the row that it is of."""

    place: int
    key: str

    @property
    def colour(self) -> int:
        """Number of its colour."""
        return self.place % N_COLOURS

    @property
    def dash(self) -> str:
        """Its line style, as `stroke-dasharray`."""
        style = DASHES[self.place % len(DASHES)]
        return "none" if isinstance(style, str) else " ".join(f"{2 * n:g}" for n in style[1])


@dataclass(frozen=True, slots=True)
class PairCell:
    """A row less a column, with the half width of its interval."""

    difference: float
    margin: float
    verdict: str


def plot_pages(content: Content) -> Iterator[File]:
    """Render the figures of every backbone of every edition."""
    everywhere = [board for edition in content.editions for board in edition.boards]
    for edition in content.editions:
        keys = sorted({row.key for board in edition.boards for row in board.rows})
        places = {key: place for place, key in enumerate(keys)}
        for board in columns(edition):
            drawn = plot_data.curves(board)
            steps = plot_data.ladder(board, everywhere)
            yield render(
                "plots.html",
                addresses.plots(edition, board.backbone),
                content,
                edition=edition,
                board=board,
                cost=pictures.cost_picture(board, plot_data.priced_rows(board)),
                curves=figures.scale_curves(board, drawn, places) if drawn else None,
                legend=_legend([curve.row.key for curve in drawn], places),
                profile=pictures.profile_picture(board),
                steps=steps,
                scaling=figures.scaling_curves(steps, places) if steps else None,
                scaling_legend=_legend(steps.rows, places) if steps else [],
                pairs=_pairs(board),
                geometries=_geometries(board),
            )


def _legend(keys: Iterable[str], places: Mapping[str, int]) -> list[LegendEntry]:
    return [LegendEntry(places[key], key) for key in keys]


def _pairs(board: Board) -> list[tuple[Row, list[PairCell | None]]]:
    """Every ranked row less every other; None on the diagonal."""
    if board.pairs is None or len(board.ranked) < 2:  # noqa: PLR2004
        return []
    pairs = board.pairs
    lines = []
    for i, row in enumerate(board.ranked):
        cells: list[PairCell | None] = []
        for j in range(len(board.ranked)):
            difference = float(pairs.difference[i, j])
            told_apart = pairs.p_value[i, j] < LEVEL
            verdict = ("better" if difference > 0 else "worse") if told_apart else "alike"
            cell = PairCell(difference, float(pairs.margin[i, j]), verdict)
            cells.append(None if i == j else cell)
        lines.append((row, cells))
    return lines


def _geometries(board: Board) -> list[tuple[str, int, Geometry]]:
    """Of every recipe and expert seed the geometry of its task vectors, with their cosines."""
    found: dict[tuple[str, int], Geometry] = {}
    for row in board.measured:
        for record in row.records:
            if record.geometry and record.geometry.cosines:
                found.setdefault((record.recipe, record.seeds.expert), record.geometry)
    return [(recipe, seed, found[recipe, seed]) for recipe, seed in sorted(found)]
