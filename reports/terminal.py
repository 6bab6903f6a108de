"""The board in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from taskmark.errors import TaskmarkError
from taskmark.records.identity import keep_newest
from taskmark.reports.board import boards
from taskmark.reports.building import FINDINGS
from taskmark.reports.scores import STANDARD, ExpertBits, choose_ruler, scores_of
from taskmark.reports.summaries import Summaries
from taskmark.statistics.intervals import normalised_accuracy, seed_intervals

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from taskmark.records.record import Record
    from taskmark.reports.rows import Row


KEY_COLUMNS = ("rank", "method, recipe", "normalised")
"""The columns of `terminal_table` that a narrow terminal shows too."""


def terminal_table(records: Iterable[Record]) -> Table:
    """Return the boards of some records as one table, a part for each backbone.

    Args:
        records: records of any state; superseded ones are left out.

    Returns:
        The table, at most 80 columns wide. Reference rows have no rank; the recipe is named where
        it is not "standard" and the name does not tell.
    """
    table = Table(
        Column("rank", justify="right", no_wrap=True),
        Column("method, recipe", max_width=33, overflow="fold"),
        Column("normalised", justify="right", no_wrap=True),
        Column("absolute", justify="right", no_wrap=True),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="In %, with 95 % intervals. A rank is a tier, which goes down to the last row "
        "that cannot be told from its best.",
        caption_justify="left",
    )
    for board in boards(keep_newest(records)):
        whose = f", experts of {board.experts.family}" if board.experts else ""
        not_frozen = ", not frozen" if board.suite.variant.unresolved else ""
        table.add_row("", Text(f"{board.backbone}{whose}{not_frozen}", style="bold"))
        for row in board.rows:
            # Text, so that nothing from outside is read as markup.
            cells = [Text(cell) for cell in _cells(row)]
            table.add_row(*cells, style="dim" if row.standing is None else None)
        table.add_section()
    return table


def _with_recipe(label: str, recipe: str) -> str:
    # Some methods have the recipe in their name.
    return label if recipe == STANDARD or recipe in label else f"{label}, {recipe}"


def _cells(row: Row) -> tuple[str, ...]:
    label = _with_recipe(row.label, row.recipe)
    if row.state != "ok":
        return ("-", f"{label}\n{row.state}: {row.reason}", "-", "-")
    spread = row.intervals
    return (
        str(row.standing.rank) if row.standing else "",
        label,
        _percent(row.normalised_accuracy, spread.normalised_low, spread.normalised_high),
        _percent(row.accuracy, spread.accuracy_low, spread.accuracy_high),
    )


def _percent(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


LINE_HEADER = f"{'backbone':<18} {'method, recipe':<33} {'normalised':>19} {'absolute':>19}"
"""What stands above the lines of `row_line`."""


def row_line(record: Record, records: Iterable[Record]) -> str:
    """Return one row in a line, as it is shown while a run goes on.

    Args:
        record: a row that just ended.
        records: the rows of the run so far, among which are those that say how good the standard
            experts are.
    """
    label = _with_recipe(record.method.name, record.recipe)
    start = f"{record.backbone:<18} {label:<33}"
    if record.state != "ok" or record.accuracy_low is None or record.accuracy_high is None:
        return f"{start} {record.state}: {record.reason}"
    alike = [
        other
        for other in records
        if other.backbone == record.backbone and other.task_names == record.task_names
    ]
    ruler = choose_ruler(ExpertBits(alike))
    scores = scores_of([record], ruler)
    ((seed, correct),) = scores.correct.items()
    spread = seed_intervals(scores)
    shares = normalised_accuracy(correct, scores.reference[seed])
    normalised = _percent(shares, spread.normalised_low, spread.normalised_high)
    absolute = _percent(record.accuracy or 0.0, record.accuracy_low, record.accuracy_high)
    return f"{start} {'-' if ruler.others else normalised:>19} {absolute:>19}"


def terminal_findings(out: Path) -> str:
    """Return the verdicts of a folder, a line or two for each suite.

    Args:
        out: folder that `taskmark.reports.build` has built.

    Raises:
        TaskmarkError: if its findings cannot be read.
    """
    try:
        found = Summaries.model_validate_json((out / FINDINGS).read_bytes())
    except (OSError, ValidationError) as error:
        raise TaskmarkError(
            f"The findings {str(out / FINDINGS)!r} cannot be read; `taskmark report` makes them."
        ) from error
    lines = []
    for summary in found.summaries:
        edition = summary.suite.label
        measured = [
            f"{finding.number} {finding.verdict}"
            for finding in summary.findings
            if finding.verdict != "not measured"
        ]
        if measured:
            n_missing = len(summary.findings) - len(measured)
            missing = f"; {n_missing} not measured" if n_missing else ""
            lines.append(f"Findings on {edition}: {', '.join(measured)}{missing}.")
        power = summary.power
        if power.n_pairs:
            stable = power.mean_correlation
            tau = "" if stable is None else f"; mean Kendall tau over seeds {stable:.2f}"
            lines.append(
                f"{power.n_separated} of {power.n_pairs} pairs of methods differ on at least one "
                f"backbone{tau}."
            )
    return "\n".join(lines)
