"""The figures: cost, scale curves, profiles by task, and maps of weight disentanglement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from taskmark.reports.plot_data import mean_over_pairs
from taskmark.reports.svg import DASHES, PAPER, TEXT, inline, series_colour, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.reports.board import Board
    from taskmark.reports.plot_data import Curve, Ladder

COLOUR_MAP = "cividis"
"""Dark is small, bright is large; made for readers with any colour vision."""

_CONTOURS = (0.1, 0.2, 0.4, 0.8, 1.2, 1.6)
_WIDE = 4.0  # a largest scale beyond which linear axes would squeeze what lies below 1
_LONGEST_LABEL = 24
_POINTS_PER_INCH = 72
_LABEL_SIZE = 9  # points
_DIGIT = 5.6  # points that a digit of that size is wide
_JOIN = {"arrowstyle": "-", "linewidth": 0.6, "color": TEXT, "shrinkA": 0, "shrinkB": 2}
_CLOSE = 12  # points between a place and its number beyond which a line joins them


def scale_curves(board: Board, drawn: Sequence[Curve], places: Mapping[str, int]) -> Markup:
    """Draw normalised validation accuracy against scale, with the chosen scales ringed.

    Args:
        board: whose rows they are.
        drawn: the curves, see `taskmark.reports.plot_data.curves`.
        places: row -> place of its series on the page, see `Row.key`.

    Returns:
        The figure as inline SVG.
    """
    with style():
        figure = Figure(figsize=(7, 4.2))
        axes = figure.add_axes((0.09, 0.13, 0.89, 0.84))
        axes.grid(axis="y")
        axes.axhline(1.0, color=TEXT, linewidth=0.8, linestyle=(0, (1, 2)))
        for curve in drawn:
            place = places[curve.row.key]
            colour = series_colour(place)
            axes.plot(
                curve.scales,
                curve.heights,
                gid=f"series-{place}",
                color=colour,
                linestyle=DASHES[place % len(DASHES)],
                linewidth=1.8,
            )
            for scale, height in curve.chosen:
                axes.plot(
                    scale,
                    height,
                    "o",
                    gid=f"series-{place}",
                    markersize=7,
                    color=PAPER,
                    markeredgecolor=colour,
                    markeredgewidth=2,
                    zorder=5,
                )
        _fit_width(axes, max((scale for curve in drawn for scale in curve.scales), default=1.0))
        axes.set_xlabel("scale of the merged task vector")
        axes.set_ylabel("normalised accuracy on validation")
        axes.margins(x=0.02)
        _fit_height(axes, [height for curve in drawn for height in curve.heights])
        return inline(
            figure,
            f"Scale curves on {board.backbone}: normalised validation accuracy of "
            f"{len(drawn)} rows against the scale of the merged task vector.",
        )


def _fit_width(axes: Axes, largest: float) -> None:
    """Draw scales beyond 1 logarithmically, where one wide range would squeeze all others."""
    if largest > _WIDE:
        ticks = [0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
        axes.set_xscale("symlog", linthresh=1.0, linscale=1.5)
        axes.set_xticks([tick for tick in ticks if tick <= largest])
        axes.xaxis.set_major_formatter("{x:g}")


def _fit_height(axes: Axes, heights: list[float]) -> None:
    """Leave out what only a curve or two reach far below all that matters."""
    if heights:
        low, high = float(np.quantile(heights, 0.02)), max(*heights, 1.0)
        axes.set_ylim(max(0.0, low - 0.05), high + 0.03)


def scaling_curves(steps: Ladder, places: Mapping[str, int]) -> Markup:
    """Draw normalised accuracy against the number of tasks, with 95 % intervals.

    Args:
        steps: see `taskmark.reports.plot_data.ladder`.
        places: row -> place of its series on the page, see `Row.key`.

    Returns:
        The figure as inline SVG.
    """
    with style():
        figure = Figure(figsize=(7, 4.2))
        axes = figure.add_axes((0.09, 0.13, 0.89, 0.84))
        axes.grid(axis="y")
        for number, (key, rows) in enumerate(steps.rows.items()):
            place = places[key]
            # Side by side, so that intervals do not hide each other.
            shift = 0.3 * ((number + 0.5) / len(steps.rows) - 0.5)
            counts = sorted(rows)
            xs = [count + shift for count in counts]
            of = [rows[count] for count in counts]
            axes.plot(
                xs,
                [row.normalised_accuracy for row in of],
                gid=f"series-{place}",
                color=series_colour(place),
                linestyle=DASHES[place % len(DASHES)],
                linewidth=1.6,
            )
            axes.vlines(
                xs,
                [row.intervals.normalised_low for row in of],
                [row.intervals.normalised_high for row in of],
                gid=f"series-{place}",
                color=series_colour(place),
                linewidth=1.2,
            )
        axes.set_xticks([len(board.tasks) for board in steps.boards])
        axes.set_xlabel("number of tasks")
        axes.set_ylabel("normalised accuracy on test")
        return inline(
            figure,
            f"Normalised accuracy of {len(steps.rows)} rows on {steps.boards[-1].backbone} against "
            "the number of tasks; the numbers are on the boards.",
        )


def _shortened(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= _LONGEST_LABEL else f"{plain[: _LONGEST_LABEL - 1]}…"


def heat_map(record: DisentanglementRecord, *, largest: float) -> Markup:
    """Draw xi over (alpha_1, alpha_2), mean over pairs, with the search box marked."""
    xi = mean_over_pairs(record)
    alphas = np.asarray(record.alphas)
    with style():
        figure = Figure(figsize=(2.9, 2.8), dpi=150)
        axes = figure.add_axes((0.17, 0.16, 0.8, 0.8))
        mesh = axes.pcolormesh(
            alphas, alphas, xi.T, cmap=COLOUR_MAP, vmin=0, vmax=largest, shading="nearest"
        )
        mesh.set_rasterized(True)
        levels = [level for level in _CONTOURS if xi.min() < level < xi.max()]
        if levels and len(alphas) > 1:
            colours = ["white" if level < 0.6 * largest else "black" for level in levels]
            lines = axes.contour(alphas, alphas, xi.T, levels, colors=colours, linewidths=0.8)
            axes.clabel(lines, fmt="%g", fontsize=8)
        for colour, line, width in (("white", "solid", 3.0), ("black", (0, (3, 2)), 1.4)):
            box = Rectangle((0, 0), 1, 1, fill=False, edgecolor=colour, linewidth=width)
            box.set(linestyle=line)
            axes.add_patch(box)
        axes.set_aspect("equal")
        ticks = sorted({float(alphas.min()), 0.0, 1.0, float(alphas.max())})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xlabel("α₁", labelpad=0)
        axes.set_ylabel("α₂", labelpad=0)
        axes.spines[:].set_visible(False)
        return inline(
            figure,
            f"Weight-disentanglement error of {record.backbone} under the recipe "
            f"{record.recipe} over alpha 1 and alpha 2 from {alphas.min():g} to "
            f"{alphas.max():g}: {record.unit_square:.3f} on average over the unit square.",
        )


def colour_scale(largest: float) -> Markup:
    """Draw the colour scale that all heat maps of a suite share."""
    with style():
        figure = Figure(figsize=(4, 0.6), dpi=150)
        axes = figure.add_axes((0.03, 0.55, 0.94, 0.35))
        values = np.linspace(0, largest, 256)
        mesh = axes.pcolormesh(values, [0, 1], values[None, :-1], cmap=COLOUR_MAP)
        mesh.set_rasterized(True)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        return inline(figure, f"Colour scale of xi from 0, dark, to {largest:g}, bright.")
