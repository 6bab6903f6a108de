"""Results in Python: records as tables, and the boards of a run."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from taskmark.errors import TaskmarkError, unknown
from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.identity import keep_newest
from taskmark.records.localisation_record import LocalisationRecord
from taskmark.records.negation_record import NegationRecord
from taskmark.records.record_files import read_kind, read_records
from taskmark.reports.board import Board, boards, normalise_records
from taskmark.reports.tables import records_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.records.record import Record
    from taskmark.reports.rows import Row

BOARD_TYPES = {
    "rank": "Int64",
    "method": "string",
    "recipe": "string",
    "track": "string",
    "normalised_accuracy": "Float64",
    "low": "Float64",
    "high": "Float64",
    "accuracy": "Float64",
    "accuracy_low": "Float64",
    "accuracy_high": "Float64",
    "role": "string",
    "state": "string",
    "reason": "string",
}
"""Columns of a board. Accuracies are fractions; [low, high] is the 95 % interval of
`normalised_accuracy`. Rows without a rank do not compete, or are not complete."""


class BoardFrame(pd.DataFrame):
    """A board as a DataFrame, which a notebook shows with the intervals drawn as range bars.

    Whatever is selected or computed from it is a plain DataFrame.
    """

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        title = escape(str(self.attrs.get("title", "")))
        shown = self["normalised_accuracy"].notna()
        low = float(self.loc[shown, "low"].min()) if shown.any() else 0.0
        high = float(self.loc[shown, "high"].max()) if shown.any() else 1.0
        heads = ("rank", "method", "recipe", "track", "normalised accuracy", "", "accuracy")
        cells = "".join(f"<th>{head}</th>" for head in heads)
        rows = "".join(_html_row(row, low, high) for row in self.to_dict("records"))
        return (
            f"<table><caption>{title}</caption><thead><tr>{cells}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Results:
    """The records of a run, or of a folder.

    Attributes:
        out: the folder that holds them.
        records: of the rows, one for a method under a recipe with a pair of seeds.
        disentanglement: of the grids of xi.
        negation: of negated tasks.
        localisation: of the NTK.
    """

    out: Path
    records: tuple[Record, ...]
    disentanglement: tuple[DisentanglementRecord, ...] = ()
    negation: tuple[NegationRecord, ...] = ()
    localisation: tuple[LocalisationRecord, ...] = ()

    def to_dataframe(self) -> pd.DataFrame:
        """The records of rows as a table, the one that `records.csv` holds.

        Returns:
            One line per record and task, and one per record that has none since it failed or was
            skipped; the columns are `taskmark.reports.tables.RECORD_TYPES`. Accuracies are
            fractions, times are seconds.
        """
        return records_frame(self.records, normalise_records(boards(self.records)))

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbones that have boards, in the order of the records."""
        return tuple(dict.fromkeys(record.backbone for record in self.records))

    def board(
        self, backbone: str | None = None, *, suite: str | None = None, seed: int | None = None
    ) -> BoardFrame:
        """The board of a backbone, ranked as on its page and in that order.

        Args:
            backbone: its name; may be left out where there is one.
            suite: the label of the suite, such as "mini@1.0+racing", where there are several.
            seed: an expert seed to look at alone, whose rows have no rank; all together by default.

        Returns:
            One line per row, with the columns of `BOARD_TYPES`.

        Raises:
            TaskmarkError: if there is no such board, or several fit.
        """
        board = self._one_board(backbone, suite)
        if seed is not None and (seed,) != board.seeds:
            if seed not in board.by_seed:
                raise unknown("seed of this board", str(seed), map(str, board.seeds))
            board = board.by_seed[seed]
        return _frame(board)

    def build_site(self) -> Path:
        """Build tables and pages of all records in the folder, as `taskmark report` does.

        Returns:
            The home page.
        """
        from taskmark.reports.building import build  # noqa: PLC0415 - imports matplotlib

        return build(self.out)

    def _one_board(self, backbone: str | None, suite: str | None) -> Board:
        found = boards(keep_newest(self.records))
        if not found:
            raise TaskmarkError(f"There are no rows in {str(self.out)!r}; run something first.")
        if backbone is not None:
            if backbone not in (known := [board.backbone for board in found]):
                raise unknown("backbone with a board", backbone, dict.fromkeys(known))
            found = [board for board in found if board.backbone == backbone]
        if suite is not None:
            if suite not in (known := [board.suite.label for board in found]):
                raise unknown("suite with such a board", suite, dict.fromkeys(known))
            found = [board for board in found if board.suite.label == suite]
        if len(found) > 1:
            places = "; ".join(f"{b.backbone}, suite={b.suite.label!r}" for b in found)
            raise TaskmarkError(
                f"There are {len(found)} boards ({places}); name the backbone, and the suite where "
                "that leaves several."
            )
        return found[0]

    def __repr__(self) -> str:
        suites = ", ".join(dict.fromkeys(record.suite.label for record in self.records))
        of = f" of {suites} on {', '.join(self.backbones)}" if self.records else ""
        return f"<Results in {str(self.out)!r}: {len(self.records)} records{of}>"

    def _repr_html_(self) -> str:
        found = boards(keep_newest(self.records))
        return "".join(_frame(board)._repr_html_() for board in found) or "<p>No rows.</p>"


def load_results(out: str | Path = "results") -> Results:
    """Read the records that runs left in a folder.

    Args:
        out: the folder that a run wrote to.

    Returns:
        All of them, those left out that later ones supersede.

    Raises:
        TaskmarkError: if there are none, or one is damaged.
    """
    out = Path(out)
    if not (out / "records").is_dir():
        raise TaskmarkError(
            f"There are no records in {str(out)!r}; give the folder that a run wrote to."
        )
    return Results(
        out=out,
        records=tuple(read_records(out)),
        disentanglement=tuple(read_kind(out, DisentanglementRecord)),
        negation=tuple(read_kind(out, NegationRecord)),
        localisation=tuple(read_kind(out, LocalisationRecord)),
    )


def _frame(board: Board) -> BoardFrame:
    frame = BoardFrame([_line(row) for row in board.rows], columns=list(BOARD_TYPES))
    typed = BoardFrame(frame.astype(BOARD_TYPES))
    not_frozen = "; not frozen" if board.suite.variant.unresolved else ""
    typed.attrs["title"] = f"{board.suite.label}, {board.backbone}{not_frozen}"
    return typed


def _line(row: Row) -> dict[str, Any]:
    line: dict[str, Any] = {
        "rank": row.standing.rank if row.standing else None,
        "method": row.label,
        "recipe": row.recipe,
        "track": row.method.track,
        "role": row.method.role,
        "state": row.state,
        "reason": row.reason,
    }
    if row.cells:
        spread = row.intervals
        line |= {
            "normalised_accuracy": row.normalised_accuracy,
            "low": spread.normalised_low,
            "high": spread.normalised_high,
            "accuracy": row.accuracy,
            "accuracy_low": spread.accuracy_low,
            "accuracy_high": spread.accuracy_high,
        }
    return line


def _html_row(row: dict[Any, Any], low: float, high: float) -> str:
    cells: Sequence[str]
    name = escape(str(row["method"]))
    rank = "" if pd.isna(row["rank"]) else str(row["rank"])
    first = (rank, name, escape(str(row["recipe"])), escape(str(row["track"])))
    if pd.isna(row["normalised_accuracy"]):
        cells = (*first, f"{row['state']}: {escape(str(row['reason']))}", "", "")
    else:
        value = float(row["normalised_accuracy"])
        left, right = (float(row[e]) if pd.notna(row[e]) else value for e in ("low", "high"))
        text = f"{value:.1%} [{left:.1%}, {right:.1%}]"
        cells = (*first, text, _bar(value, left, right, (low, high)), f"{row['accuracy']:.1%}")
    style = "" if rank else ' style="opacity: 0.6"'
    return f"<tr{style}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _bar(value: float, low: float, high: float, axis: tuple[float, float]) -> str:
    """An interval as a bar with a tick at its value, on a line from end to end of an axis."""
    least, most = axis
    width, span = 160.0, (most - least) or 1.0
    left, right, middle = ((x - least) / span * width for x in (low, high, value))
    return (
        f'<svg width="{width:g}" height="12" role="img" '
        f'aria-label="{value:.1%}, from {low:.1%} to {high:.1%}">'
        f'<line x1="0" x2="{width:g}" y1="6" y2="6" stroke="currentColor" stroke-opacity="0.15"/>'
        f'<rect x="{left:.1f}" width="{max(right - left, 1):.1f}" y="3" height="6" '
        f'fill="currentColor" fill-opacity="0.35"/>'
        f'<rect x="{middle - 0.75:.2f}" width="1.5" y="1" height="10" fill="currentColor"/></svg>'
    )
