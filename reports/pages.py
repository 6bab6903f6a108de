"""The page: boards and maps rendered into one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup, escape

from taskmark.reports import figures, finding_filters, provenance, stability
from taskmark.reports.definitions import RECIPES, TRACKS, definitions, paragraphs
from taskmark.reports.svg import DASHES, N_COLOURS
from taskmark.reports.verdicts import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.record import DisentanglementRecord, SuiteFacts
    from taskmark.reports.board import Board, Row
    from taskmark.reports.summaries import Summaries, Summary


@dataclass(frozen=True, slots=True)
class Cost:
    """What a row cost: seconds are means over its records, counts too."""

    edit_seconds: float | None
    trials: float | None
    gradient_images: float | None
    extra_parameters: float | None


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One series of the scale curves."""

    place: int
    row: Row

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
class BoardView:
    """A board with its figures and what the page needs to choose and draw it."""

    board: Board
    edition: str
    axis: tuple[float, float]
    forest: Markup | None
    curves: Markup | None
    legend: tuple[LegendEntry, ...]


@dataclass(frozen=True, slots=True)
class MapView:
    """A heat map with the numbers under it."""

    record: DisentanglementRecord
    figure: Markup


@dataclass(frozen=True, slots=True)
class Atlas:
    """The heat maps of one suite on their common colour scale."""

    edition: str
    maps: tuple[MapView, ...]
    colour_scale: Markup


@dataclass(frozen=True, slots=True)
class SummaryView:
    """The findings of one suite under its name."""

    edition: str
    summary: Summary


def render(
    boards: Sequence[Board],
    maps: Sequence[DisentanglementRecord],
    found: Summaries | None = None,
) -> str:
    """Render the page.

    Args:
        boards: see `taskmark.reports.board.boards`.
        maps: disentanglement records, of each backbone, recipe and seed the newest.
        found: the findings of the suites, see `taskmark.reports.summaries`; none are shown without.

    Returns:
        One HTML file with style, script and figures inside.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("taskmark.reports", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        breakable=_breakable,
        code=_code,
        compact=_compact,
        cost=_cost,
        percent=_percent,
        shares_rank=_shares_rank,
        signed=_signed,
        slug=_slug,
        **finding_filters.FILTERS,
    )
    script = environment.get_template("board.js").render()
    records = [record for board in boards for row in board.rows for record in row.records]
    editions = _editions([board.suite for board in boards] + [record.suite for record in maps])
    return environment.get_template("index.html").render(
        style=Markup(environment.get_template("style.css").render()),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        views=_views(boards, editions),
        found=[
            SummaryView(editions[summary.suite.sha256], summary)
            for summary in (found.summaries if found else ())
        ],
        stable=stability.STABLE_CORRELATION,
        power_definition=paragraphs(stability.power),
        verdicts=VERDICTS,
        atlases=_atlases(maps, editions),
        editions=list(dict.fromkeys(editions[board.suite.sha256] for board in boards)),
        backbones=list(dict.fromkeys(board.backbone for board in boards)),
        recipes=[recipe for recipe in RECIPES if any(r.recipe == recipe for r in records)]
        + sorted({record.recipe for record in records} - set(RECIPES)),
        recipe_meanings=RECIPES,
        tracks=TRACKS,
        definitions=definitions(),
        environments=provenance.environments(records),
        environment_of=provenance.environment,
        command=provenance.command,
        code_of=provenance.code,
        n_records=len(records),
    )


def _editions(suites: Sequence[SuiteFacts]) -> dict[str, str]:
    """Name the suites, hash -> "name@version", with the hash where that is not enough."""
    by_name: dict[str, set[str]] = {}
    for suite in suites:
        by_name.setdefault(f"{suite.name}@{suite.version}", set()).add(suite.sha256)
    return {
        sha256: name if len(hashes) == 1 else f"{name} ({sha256[:8]})"
        for name, hashes in by_name.items()
        for sha256 in hashes
    }


def _views(boards: Sequence[Board], editions: dict[str, str]) -> list[BoardView]:
    keys = sorted({figures.series_key(row) for board in boards for row in board.rows})
    places = {key: place for place, key in enumerate(keys)}
    views = []
    for board in boards:
        drawn = figures.curves(board)
        views.append(
            BoardView(
                board=board,
                edition=editions[board.suite.sha256],
                axis=_axis(board),
                forest=figures.forest(board) if board.ranked or board.references else None,
                curves=figures.scale_curves(board, drawn, places) if drawn else None,
                legend=tuple(
                    LegendEntry(places[figures.series_key(curve.row)], curve.row) for curve in drawn
                ),
            )
        )
    return views


def _axis(board: Board) -> tuple[float, float]:
    """Ends of the range bars, common to all rows of a board, in tenths."""
    rows = [*board.ranked, *board.references]
    low = min((row.intervals.normalised_low for row in rows), default=0.0)
    high = max((row.intervals.normalised_high for row in rows), default=1.0)
    return math.floor(low * 10) / 10, max(1.0, math.ceil(high * 10) / 10)


def _atlases(maps: Sequence[DisentanglementRecord], editions: dict[str, str]) -> list[Atlas]:
    by_suite: dict[str, list[DisentanglementRecord]] = {}
    for record in maps:
        by_suite.setdefault(editions[record.suite.sha256], []).append(record)
    order = {recipe: place for place, recipe in enumerate(RECIPES)}
    atlases = []
    for edition, of_suite in sorted(by_suite.items()):
        largest = figures.largest_error(of_suite)
        of_suite.sort(
            key=lambda r: (r.backbone, order.get(r.recipe, len(order)), r.recipe, r.expert_seed)
        )
        atlases.append(
            Atlas(
                edition=edition,
                maps=tuple(
                    MapView(record, figures.heat_map(record, largest=largest))
                    for record in of_suite
                ),
                colour_scale=figures.colour_scale(largest),
            )
        )
    return atlases


def _cost(row: Row) -> Cost:
    counted = [record.counted for record in row.records if record.counted]
    seconds = [record.measured.edit_seconds for record in row.records if record.measured]
    return Cost(
        edit_seconds=fmean(seconds) if seconds else None,
        trials=fmean(cost.trials for cost in counted) if counted else None,
        gradient_images=fmean(cost.gradient_images for cost in counted) if counted else None,
        extra_parameters=fmean(cost.extra_parameters for cost in counted) if counted else None,
    )


def _shares_rank(board: Board, row: Row) -> bool:
    """Tell whether another row of the board has the same rank."""
    ranks = [other.standing.rank for other in board.ranked if other.standing]
    return row.standing is not None and ranks.count(row.standing.rank) > 1


def _percent(fraction: float) -> str:
    """Write a fraction as per cent to a tenth: 0.8731 -> 87.3."""
    return f"{100 * fraction:.1f}"


def _signed(fraction: float) -> str:
    """Write a difference as per cent with its sign: -0.0213 -> \u22122.1."""
    return f"{100 * fraction:+.1f}".replace("-", "\u2212")


def _breakable(text: str) -> Markup:
    """Escape a name and let it break after underscores."""
    return Markup(str(escape(text)).replace("_", "_<wbr>"))  # noqa: S704


def _compact(number: float | None) -> str:
    """Write a count or some seconds short: 51200 -> 51,200; 3.14159 -> 3.1; 0.0213 -> 0.021."""
    if number is None:
        return ""
    if number >= 100 or float(number).is_integer():  # noqa: PLR2004
        return f"{number:,.0f}"
    if number < 0.001:  # noqa: PLR2004
        return "<0.001"
    return f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def _code(text: str) -> Markup:
    """Escape a text and set what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _slug(text: str) -> str:
    """Make an id: letters, digits and hyphens, with a hash where that loses something."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
