"""What a reproduction shows: a table, Markdown, JSON, and the sentences that go with them."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from taskmark.gate.comparison_formats import markdown_table
from taskmark.papers.paper_file import KNOWN_FROM, OWN
from taskmark.papers.table import controlled_alike

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskmark.papers.paper_file import Metric, Paper
    from taskmark.papers.table import FigureLine
    from taskmark.suite.suite_file import Suite

_METRICS: dict[Metric, str] = {
    "accuracy": "accuracy",
    "normalised_accuracy": "normalised",
    "negation_target": "target",
    "negation_control": "control",
}
_HEAD = ("row", "metric", "published", "known as", "family", "measured", "diff.", "inside")
_COLUMNS = tuple(name for name in _HEAD if name != "known as")  # there it follows the figure
_NONE = "-"


def tables(lines: Sequence[FigureLine]) -> Iterator[Table]:
    """All figures for the terminal, in percent; a table for each backbone, some 80 columns wide."""
    for backbone, part in itertools.groupby(lines, lambda line: line.backbone):
        columns = [Column(name, no_wrap=name not in {"row", "measured"}) for name in _COLUMNS]
        drawn = Table(*columns, title=backbone, title_justify="left", box=SIMPLE_HEAD)
        drawn.padding = (0, 1, 0, 0)
        for line in part:
            row, metric, figure, label, *rest = _cells(line)
            known = f"{figure} {label}" if line.published else figure
            drawn.add_row(*(Text(cell) for cell in (row, metric, known, *rest)))
        yield drawn


def markdown(paper: Paper, lines: Sequence[FigureLine], notes: Sequence[str]) -> str:
    """The whole reproduction for a document, with the source of every figure."""
    rows = [
        (line.backbone, *_cells(line), line.published.source if line.published else _NONE)
        for line in lines
    ]
    drawn = markdown_table(("backbone", *_HEAD, "source"), rows)
    sentences = [f"- {note}" for note in notes]
    return "\n".join([f"### {citation(paper)}", "", *drawn, "", *sentences]) + "\n"


def as_json(paper: Paper, suite: Suite, lines: Sequence[FigureLine], notes: Sequence[str]) -> str:
    """Everything, for machines; figures in percent."""
    values = {
        "paper": {name: getattr(paper, name) for name in ("name", "title", "venue", "url")},
        "suite": suite.facts.model_dump(),
        "lines": [
            {**dataclasses.asdict(line), "difference": line.difference, "inside": line.inside}
            for line in lines
        ],
        "notes": list(notes),
    }
    return json.dumps(values, indent=1) + "\n"


def citation(paper: Paper) -> str:
    """The paper in a line."""
    return f"{paper.title} ({paper.authors}; {paper.venue}, {paper.url})"


def protocol(paper: Paper, suite: Suite, backbones: Sequence[str]) -> list[str]:
    """What is run, in sentences.

    Args:
        paper: the paper.
        suite: with the paper's protocol laid over it.
        backbones: on which it is run.
    """
    rule = suite.protocol
    sentences = [
        f"Suite {suite.label}: {len(suite.tasks)} tasks ({', '.join(suite.tasks)}).",
        f"Backbones: {', '.join(backbones)}.",
        f"{rule.trials} scales a search, chosen on validation.",
        f"At most {rule.gradient_images:,} images backward for a method that learns.",
    ]
    for name, run in paper.runs.items():
        fields = ", ".join(f"{field}={value}" for field, value in run.hyperparameters.items())
        scales = rule.scale_ranges.get(run.method)
        searched = f", scales {scales[0]:g} to {scales[1]:g}" if scales else ""
        sentences.append(
            f"Row {name!r}: {run.method}{f'[{fields}]' if fields else ''} under the recipe "
            f"{run.recipe}{searched}; {', '.join(_METRICS[metric] for metric in run.metrics)}."
        )
    return sentences


def notes(paper: Paper, suite: Suite, lines: Sequence[FigureLine]) -> Iterator[str]:
    """What must be known to read the table, in sentences."""
    if not paper.published:
        yield "No figure of this paper is known well enough to print; all are measured."
    labels = {line.published.label for line in lines if line.published}
    if known := [f"{label}, {text}" for label, text in KNOWN_FROM.items() if label in labels]:
        yield f"Published figures are known as: {'; '.join(known)}."
    yield from _of_families(paper, lines)
    if paper.negation and not controlled_alike(paper, suite):
        others = ", ".join(name for name in paper.suites if not name.startswith(f"{suite.name}@"))
        yield (
            f"The paper controls negation by {paper.control}, and the suite {suite.name} by other "
            "tasks, so negation is measured but not compared"
            f"{f'; with --suite it is: {others}' if others else ''}."
        )
    if verdicts := [line.inside for line in lines if line.inside is not None]:
        yield (
            f"{sum(verdicts)} of {len(verdicts)} published figures lie in the 95 % interval of the "
            "measured one, which is over test images of one seed and knows nothing of other seeds, "
            "splits or experts."
        )
    yield from paper.notes


def sources(lines: Sequence[FigureLine]) -> list[str]:
    """Where the figures were published, each source once."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line.published is not None:
            rows = found.setdefault((line.published.source, line.published.family), [])
            rows += [] if line.row in rows else [line.row]
    return [f"{', '.join(rows)} ({family}): {source}." for (source, family), rows in found.items()]


def _of_families(paper: Paper, lines: Sequence[FigureLine]) -> Iterator[str]:
    for measured, published in dict.fromkeys(
        (line.measured.family, line.published.family)
        for line in lines
        if line.measured and line.published
    ):
        if measured == published:
            continue
        family, own = paper.families[published], measured == OWN
        yield (
            f"Measured on {'experts tuned here' if own else f'the experts of {measured}'}, "
            f"published on {published} ({family.summary}): never mix families; "
            + (
                "a difference holds that of the experts, too."
                if own and family.tuned_alike
                else "so no difference is shown."
            )
        )


def _cells(line: FigureLine) -> tuple[str, ...]:
    published, measured = line.published, line.measured
    return (
        line.row,
        _METRICS[line.metric],
        f"{published.value:g}" if published else _NONE,
        published.label if published else _NONE,
        published.family if published else _NONE,
        f"{measured.value:.1f} [{measured.low:.1f}, {measured.high:.1f}]"
        if measured
        else line.reason,
        _NONE if line.difference is None else f"{line.difference:+.1f}",
        {None: _NONE, True: "yes", False: "no"}[line.inside],
    )
