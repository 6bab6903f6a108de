"""Pictures that the page draws itself: accuracy against cost, and profiles by task.

Coordinates are those of the picture's own box, from its upper left corner; a template draws them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from taskmark.reports.label_places import label_centres
from taskmark.reports.leaders import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskmark.reports.board import Board
    from taskmark.reports.plot_data import PricedRow
    from taskmark.reports.rows import Row

WIDTH, HEIGHT = 560.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 8.0, 10.0, 42.0
_CHARACTER, _LINE = 6.6, 15.0  # of a label, in a font of 12 pixels
_CLOSE = 16.0  # between a point and its label beyond which a line joins them
_LEAST_SECONDS = 1e-3  # a logarithmic axis has no zero, and below nothing is told apart
_NAMED = (
    *("task_arithmetic", "ties", "linear_probing", "tangent_fine_tuning", "dv_basi"),
    *("tsv_m", "iso_c"),
)
_PLAIN = ("task_arithmetic", "ties", "linear_probing", "tsv_m")
_CUT = 0.1  # of normalised accuracy, below the lowest interval that a profile shows unasked
_FAR = 3.0  # interquartile ranges below the lower quartile beyond which a row is not drawn to scale


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid: where it is, and what stands at it."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A row as a point with its interval, and a label where there is one.

    What is `below` the picture stands on its lower edge.
    """

    row: Row
    x: float
    y: float
    low: float
    high: float
    seconds: float
    on_front: bool
    labelled: bool
    below: bool
    label_x: float = 0.0
    label_y: float = 0.0
    joined: bool = False


@dataclass(frozen=True, slots=True)
class CostPicture:
    """Normalised accuracy against the seconds of an edit; the rows with labels come last."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]
    front: str
    description: str


def named(board: Board) -> list[str]:
    """The keys of the rows that pictures show unasked: leaders, and the methods that all know."""
    found = answer(board)
    leading = [*found.leaders, *([found.least] if found.least else [])] if found else []
    known = (row for row in board.ranked if row.method.name in _NAMED)
    return list(dict.fromkeys(row.key for row in (*leading, *known)))


def cost_picture(board: Board, points: Sequence[PricedRow]) -> CostPicture | None:
    """Lay out the ranked rows whose seconds are known; None where there are none."""
    if not points:
        return None
    x_ticks, place_x = _seconds_axis([point.seconds for point in points])
    lower, upper = np.quantile([point.row.normalised_accuracy for point in points], [0.25, 0.75])
    least = lower - max(_FAR * (upper - lower), 0.05)
    drawn = [point for point in points if point.row.normalised_accuracy >= least]
    spreads = [point.row.intervals for point in drawn]
    y_ticks, place_y = _share_axis(
        [spread.normalised_low for spread in spreads]
        + [spread.normalised_high for spread in spreads]
    )
    keys, bottom = named(board), HEIGHT - _BOTTOM
    dots = [
        Dot(
            row=point.row,
            x=place_x(point.seconds),
            y=min(bottom, place_y(point.row.normalised_accuracy)),
            low=min(bottom, place_y(point.row.intervals.normalised_low)),
            high=min(bottom, place_y(point.row.intervals.normalised_high)),
            seconds=point.seconds,
            on_front=point.on_front,
            labelled=point.row.key in keys,
            below=place_y(point.row.normalised_accuracy) > bottom,
        )
        for point in points
    ]
    front = [dot for dot in dots if dot.on_front]
    path = f"M{front[0].x:.1f} {front[0].y:.1f}" + "".join(
        f"H{dot.x:.1f}V{dot.y:.1f}" for dot in front[1:]
    )
    return CostPicture(
        x_ticks,
        y_ticks,
        tuple(_with_labels(dots)),
        f"{path}H{WIDTH - _RIGHT:.1f}",
        f"Normalised accuracy of {len(dots)} methods on {board.backbone} against the seconds to "
        "edit; the table has the numbers.",
    )


def _with_labels(dots: Sequence[Dot]) -> list[Dot]:
    """The dots, those without a label first, and labels where they hide no point."""
    plain = [dot for dot in dots if not dot.labelled]
    marked = sorted((dot for dot in dots if dot.labelled), key=lambda dot: dot.y)
    if not marked:
        return plain
    ordered = [*marked, *plain]
    # Labels of size nought take no room: the points of all rows are what labels avoid.
    sizes = [(_CHARACTER * len(dot.row.label), _LINE) for dot in marked]
    sizes += [(0.0, 0.0)] * len(plain)
    points = np.array([(dot.x - _LEFT, dot.y - _TOP) for dot in ordered])
    within = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    centres = label_centres(points, sizes, marker=9, within=within) + np.array([_LEFT, _TOP])
    placed = []
    for dot, (x, y), (width, _) in zip(marked, centres.tolist(), sizes, strict=False):
        apart = max(abs(x - dot.x) - width / 2, 0.0), max(abs(y - dot.y) - _LINE / 2, 0.0)
        placed.append(replace(dot, label_x=x, label_y=y, joined=math.hypot(*apart) > _CLOSE))
    return plain + placed


def _seconds_axis(seconds: Iterable[float]) -> tuple[tuple[Tick, ...], Callable[[float], float]]:
    values = [max(one, _LEAST_SECONDS) for one in seconds]
    low, high = math.log10(min(values)) - 0.15, math.log10(max(values)) + 0.15
    if high - low < 1:
        low, high = low - 0.5, high + 0.5
    span = WIDTH - _LEFT - _RIGHT

    def place(value: float) -> float:
        return _LEFT + span * (math.log10(max(value, _LEAST_SECONDS)) - low) / (high - low)

    powers = range(math.ceil(low), math.floor(high) + 1)
    return tuple(Tick(place(10.0**power), f"{10.0**power:g} s") for power in powers), place


def _share_axis(ends: Iterable[float]) -> tuple[tuple[Tick, ...], Callable[[float], float]]:
    values = list(ends)
    low, high = min(values), max(values)
    margin = max(0.02, 0.06 * (high - low))
    low, high = max(0.0, low - margin), high + margin
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0) if (high - low) / s <= 7)  # noqa: PLR2004
    span = HEIGHT - _TOP - _BOTTOM

    def place(value: float) -> float:
        return _TOP + span * (high - value) / (high - low)

    first = math.ceil(low / step)
    marks = [step * n for n in range(first, math.floor(high / step) + 1)]
    return tuple(Tick(place(mark), f"{100 * mark:.0f}") for mark in marks), place


@dataclass(frozen=True, slots=True)
class Series:
    """A row over the tasks: a point and an interval on each, and whether it is shown unasked."""

    row: Row
    place: int
    shown: bool
    dots: tuple[tuple[float, float, float, float], ...]  # x, y, and the ends of the interval
    line: str


@dataclass(frozen=True, slots=True)
class ProfilePicture:
    """Normalised accuracy of the ranked rows on every task."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    description: str


def profile_picture(board: Board) -> ProfilePicture | None:
    """Lay out the profile of a board; None where nothing is ranked."""
    rows = board.ranked
    if not rows:
        return None
    shown = [key for key in named(board) if _is_plain(board, key)] or [rows[0].key]
    cells = [cell for row in rows for cell in row.cells]
    # What only some rows reach, far below all that are shown, is cut off.
    lowest = min(cell.normalised_low for row in rows if row.key in shown for cell in row.cells)
    some = max(lowest - _CUT, min(cell.normalised_low for cell in cells))
    y_ticks, place_y = _share_axis([some, *(cell.normalised_high for cell in cells), 1.0])
    column = (WIDTH - _LEFT - _RIGHT) / len(board.tasks)
    ordered = sorted(rows, key=lambda row: row.key not in shown)
    n_shown = len(shown)
    series = []
    for place, row in enumerate(ordered):
        # Side by side, so that intervals do not hide each other.
        shift = 0.6 * column * ((place % n_shown + 0.5) / n_shown - 0.5)
        dots = tuple(
            (
                _LEFT + column * (number + 0.5) + shift,
                place_y(cell.normalised_accuracy),
                place_y(cell.normalised_low),
                place_y(cell.normalised_high),
            )
            for number, cell in enumerate(row.cells)
        )
        line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in dots)
        series.append(Series(row, place, row.key in shown, dots, line))
    ticks = tuple(
        Tick(_LEFT + column * (number + 0.5), task) for number, task in enumerate(board.tasks)
    )
    return ProfilePicture(
        ticks,
        y_ticks,
        tuple(series),
        f"Normalised accuracy of {len(rows)} methods on each task of {board.backbone}; the table "
        "has the numbers.",
    )


def _is_plain(board: Board, key: str) -> bool:
    """Whether a profile shows a row unasked: a leader of a track, or one of few known methods."""
    row = next(row for row in board.ranked if row.key == key)
    return row.method.name in _PLAIN or any(
        row is next(other for other in board.ranked if other.method.track == track)
        for track in {other.method.track for other in board.ranked}
    )
