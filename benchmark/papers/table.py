"""A paper's figures beside those measured here: pure comparison, no reading and no printing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.papers.definition import OWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskmark.papers.definition import Label, Metric, Paper, Published, Run
    from taskmark.records.envelope import Experts
    from taskmark.records.negation_record import NegationRecord
    from taskmark.records.record import Record
    from taskmark.suite.definition import Suite

NOT_RUN = "not run"
_NEGATION = {"negation_target", "negation_control"}


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured figure with its 95 % interval over test images, in percent, and whose experts."""

    value: float
    low: float
    high: float
    family: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A published figure, in percent, and what must be known to read it."""

    value: float
    label: Label
    source: str
    family: str


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of one row on one backbone, published and measured.

    Attributes:
        backbone: on which backbone.
        row: name of the run in the paper's protocol.
        metric: what is measured.
        published: the figure; None where none is known well enough.
        measured: the figure; None where `reason` says why there is none.
        reason: empty, or why nothing was measured.
        comparable: whether the two figures stand on experts that were tuned alike.
    """

    backbone: str
    row: str
    metric: Metric
    published: Figure | None
    measured: Measured | None
    reason: str
    comparable: bool

    @property
    def difference(self) -> float | None:
        """Measured minus published, in points; None where the two do not compare."""
        if self.published is None or self.measured is None or not self.comparable:
            return None
        return self.measured.value - self.published.value

    @property
    def inside(self) -> bool | None:
        """Whether the published figure lies in the interval; None where they do not compare."""
        if self.published is None or self.measured is None or not self.comparable:
            return None
        return self.measured.low <= self.published.value <= self.measured.high


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured: the records of a paper's runs."""

    records: Sequence[Record] = ()
    negations: Sequence[NegationRecord] = ()


def lines(paper: Paper, suite: Suite, backbones: Sequence[str], found: Found) -> list[Line]:
    """All figures of a paper's runs on some backbones, in the order of the paper.

    A metric with figures from several sources has a line for each; one without has a line, too.
    """
    return [line for backbone in backbones for line in _of_backbone(paper, suite, backbone, found)]


def controlled_alike(paper: Paper, suite: Suite) -> bool:
    """Whether the suite controls every negation by what the paper controls it by."""
    negation = suite.protocol.negation
    return negation is not None and negation.controls == (paper.control,)


def _of_backbone(paper: Paper, suite: Suite, backbone: str, found: Found) -> Iterator[Line]:
    for name, run in paper.runs.items():
        for metric in run.metrics:
            measured = _measured(run, backbone, metric, found)
            alike = metric not in _NEGATION or controlled_alike(paper, suite)
            for figure in _figures(paper.published, name, backbone, metric) or [None]:
                yield Line(
                    backbone=backbone,
                    row=name,
                    metric=metric,
                    published=figure,
                    measured=measured if isinstance(measured, Measured) else None,
                    reason=measured if isinstance(measured, str) else "",
                    comparable=figure is not None
                    and alike
                    and isinstance(measured, Measured)
                    and _tuned_alike(paper, figure.family, measured.family),
                )


def _figures(
    published: Sequence[Published], row: str, backbone: str, metric: Metric
) -> list[Figure | None]:
    return [
        Figure(figures.values[metric][backbone], figures.label, figures.source, figures.family)
        for figures in published
        if figures.run == row and backbone in figures.values.get(metric, {})
    ]


def _tuned_alike(paper: Paper, published: str, measured: str) -> bool:
    if measured == OWN:
        return paper.families[published].tuned_alike
    return published == measured


def _measured(run: Run, backbone: str, metric: Metric, found: Found) -> Measured | str:
    """The figure, or why there is none."""
    if metric in _NEGATION:
        return _negated(run, backbone, metric, found.negations)
    record = next((r for r in found.records if _is_of(r, run, backbone)), None)
    if record is None:
        return NOT_RUN
    if record.state != "ok":
        return f"{record.state}: {record.reason}"
    if metric == "accuracy":
        figures = record.accuracy, record.accuracy_low, record.accuracy_high
    else:
        figures = record.normalised_accuracy, record.normalised_low, record.normalised_high
    return _percent(figures, record.experts)


def _negated(
    run: Run, backbone: str, metric: Metric, negations: Sequence[NegationRecord]
) -> Measured | str:
    # What one task alone points to is negated once for all methods that keep its direction.
    names = (run.method, None)
    suited = [
        record
        for name in names
        for record in negations
        if (record.method.name if record.method else None) == name
        and (record.backbone, record.recipe) == (backbone, run.recipe)
    ]
    if not suited:
        return NOT_RUN
    mean = suited[0].target if metric == "negation_target" else suited[0].control
    return _percent((mean.accuracy, mean.low, mean.high), suited[0].experts)


def _is_of(record: Record, run: Run, backbone: str) -> bool:
    fields = record.method.hyperparameters
    return (record.backbone, record.recipe, record.method.name) == (
        backbone,
        run.recipe,
        run.method,
    ) and run.hyperparameters.items() <= fields.items()


def _percent(figures: tuple[float | None, ...], experts: Experts | None) -> Measured:
    value, low, high = (100 * figure for figure in figures if figure is not None)
    return Measured(value, low, high, experts.family if experts else OWN)
