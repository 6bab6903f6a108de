"""The figures: cost, scale curves, profiles by task, and maps of weight disentanglement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from taskmark.reports.label_places import label_centres
from taskmark.reports.plot_data import mean_over_pairs
from taskmark.reports.svg import DASHES, MARKED, PAPER, TEXT, inline, series_colour, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.reports.board import Board
    from taskmark.reports.plot_data import Curve, Ladder, PricedRow

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


def cost_scatter(board: Board, points: Sequence[PricedRow]) -> Markup:
    """Draw normalised accuracy against the seconds that an edit takes, with the Pareto front."""
    with style():
        figure = Figure(figsize=(7, 4.2))
        axes = figure.add_axes((0.09, 0.13, 0.87, 0.84))
        axes.grid()
        axes.set_xscale("log")
        front = [point for point in points if point.on_front]
        axes.step(
            [_drawn_seconds(point) for point in front],
            [point.row.normalised_accuracy for point in front],
            where="post",
            color=MARKED,
            linewidth=1.2,
            linestyle=(0, (4, 2)),
        )
        for point in points:
            spread = point.row.intervals
            colour = MARKED if point.on_front else TEXT
            axes.plot(
                [_drawn_seconds(point)] * 2,
                [spread.normalised_low, spread.normalised_high],
                color=colour,
                linewidth=1.2,
            )
            axes.plot(
                _drawn_seconds(point),
                point.row.normalised_accuracy,
                "o" if point.on_front else "D",
                color=colour if point.on_front else PAPER,
                markeredgecolor=colour,
                markersize=7 if point.on_front else 5,
            )
        axes.set_xlabel("seconds to edit, on the machine of the record")
        axes.set_ylabel("normalised accuracy on test")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        _number(
            figure,
            axes,
            [(_drawn_seconds(point), point.row.normalised_accuracy) for point in points],
        )
        return inline(
            figure,
            f"Normalised accuracy of {len(points)} methods on {board.backbone} against the seconds "
            "they take; the numbers are those of the list below.",
        )


def _number(figure: Figure, axes: Axes, places: Sequence[tuple[float, float]]) -> None:
    """Number points where there is room, with a line to those whose number is not close."""
    if not places:
        return
    # What is drawn from here on must not move what it is laid out around.
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    inches = figure.dpi_scale_trans.inverted()
    corners = inches.transform(axes.transAxes.transform([(0, 0), (1, 1)])) * _POINTS_PER_INCH
    points = inches.transform(axes.transData.transform(places)) * _POINTS_PER_INCH
    sizes = [(_DIGIT * len(str(number)), _DIGIT * 1.6) for number in range(1, len(places) + 1)]
    width, height = corners[1] - corners[0]
    centres = label_centres(points - corners[0], sizes, marker=6, within=(width, height))
    for number, (place, shift) in enumerate(
        zip(places, centres + corners[0] - points, strict=True), start=1
    ):
        far = np.hypot(*shift) > _CLOSE
        axes.annotate(
            str(number),
            place,
            xytext=tuple(shift),
            textcoords="offset points",
            fontsize=_LABEL_SIZE,
            ha="center",
            va="center",
            arrowprops=_JOIN if far else None,
        )


def _drawn_seconds(point: PricedRow) -> float:
    # A logarithmic axis has no zero, and below a millisecond nothing is told apart.
    return max(point.seconds, 1e-3)


def profile(board: Board) -> Markup:
    """Draw the normalised accuracy of every ranked row on every task, a column of dots a task."""
    with style():
        figure = Figure(figsize=(7, 4.2))
        axes = figure.add_axes((0.09, 0.2, 0.89, 0.77))
        axes.grid(axis="y")
        axes.axhline(1.0, color=TEXT, linewidth=0.8, linestyle=(0, (1, 2)))
        rows = board.ranked
        places = np.arange(len(board.tasks))
        for number, row in enumerate(rows):
            shift = 0.7 * ((number + 0.5) / len(rows) - 0.5)
            heights = [cell.normalised_accuracy for cell in row.cells]
            lows = [cell.normalised_low for cell in row.cells]
            highs = [cell.normalised_high for cell in row.cells]
            first = row.standing is not None and row.standing.rank == 1
            axes.vlines(places + shift, lows, highs, color=MARKED if first else TEXT, linewidth=0.9)
            axes.plot(
                places + shift,
                heights,
                "o" if first else "D",
                markersize=4.5 if first else 3,
                color=MARKED if first else PAPER,
                markeredgecolor=MARKED if first else TEXT,
                markeredgewidth=0.8,
            )
        names = [_shortened(task) for task in board.tasks]
        axes.set_xticks(places, names, rotation=20, ha="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("normalised accuracy on test")
        return inline(
            figure,
            f"Normalised accuracy of {len(rows)} methods on each task of {board.backbone}, best "
            "method on the left of each column; the numbers are in the board.",
        )


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
