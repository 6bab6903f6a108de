"""A paper's figures compared with those measured here, without reading or printing anything."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from taskmark.papers.paper_file import NEGATION, OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskmark.papers.paper_file import KnownFrom, Metric, Paper, PaperRun, Published
    from taskmark.records.envelope import Envelope, ExpertOrigin
    from taskmark.records.negation_record import NegationRecord
    from taskmark.records.record import Record
    from taskmark.suite.suite_file import Suite

NOT_RUN = "not run"
R = TypeVar("R", bound="Envelope")


@dataclass(frozen=True, slots=True)
class MeasuredFigure:
    """A measured figure with its 95 % interval over test images, in percent, and whose experts."""

    value: float
    low: float
    high: float
    family: str


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """A published figure, in percent, and what must be known to read it."""

    value: float
    label: KnownFrom
    source: str
    family: str


@dataclass(frozen=True, slots=True)
class FigureLine:
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
    published: PublishedFigure | None
    measured: MeasuredFigure | None
    reason: str
    comparable: bool

    @property
    def difference(self) -> float | None:
        """Measured minus published, in points; None where the two do not compare."""
        pair = self._comparable_pair
        return pair[1].value - pair[0].value if pair else None

    @property
    def inside(self) -> bool | None:
        """Whether the published figure lies in the interval; None where they do not compare."""
        pair = self._comparable_pair
        return pair[1].low <= pair[0].value <= pair[1].high if pair else None

    @property
    def _comparable_pair(self) -> tuple[PublishedFigure, MeasuredFigure] | None:
        if self.published is None or self.measured is None or not self.comparable:
            return None
        return self.published, self.measured


@dataclass(frozen=True, slots=True)
class Measurements:
    """What was measured: the records of a paper's runs."""

    records: Sequence[Record] = ()
    negations: Sequence[NegationRecord] = ()


def compare_figures(
    paper: Paper, suite: Suite, backbones: Sequence[str], found: Measurements
) -> list[FigureLine]:
    """All figures of a paper's runs on some backbones, in the order of the paper.

    A metric with figures from several sources has a line for each; one without has a line, too.
    """
    return [line for backbone in backbones for line in _of_backbone(paper, suite, backbone, found)]


def controlled_alike(paper: Paper, suite: Suite) -> bool:
    """Whether the suite controls every negation by what the paper controls it by."""
    negation = suite.protocol.negation
    return negation is not None and negation.controls == (paper.control,)


def _of_backbone(
    paper: Paper, suite: Suite, backbone: str, found: Measurements
) -> Iterator[FigureLine]:
    for name, run in paper.runs.items():
        for metric in run.metrics:
            measured = _measured(paper, run, backbone, metric, found)
            alike = metric not in NEGATION or controlled_alike(paper, suite)
            for figure in _figures(paper.published, name, backbone, metric) or [None]:
                yield FigureLine(
                    backbone=backbone,
                    row=name,
                    metric=metric,
                    published=figure,
                    measured=measured if isinstance(measured, MeasuredFigure) else None,
                    reason=measured if isinstance(measured, str) else "",
                    comparable=figure is not None
                    and alike
                    and isinstance(measured, MeasuredFigure)
                    and _tuned_alike(paper, figure.family, measured.family),
                )


def _figures(
    published: Sequence[Published], row: str, backbone: str, metric: Metric
) -> list[PublishedFigure | None]:
    return [
        PublishedFigure(
            figures.values[metric][backbone], figures.label, figures.source, figures.family
        )
        for figures in published
        if figures.run == row and backbone in figures.values.get(metric, {})
    ]


def _tuned_alike(paper: Paper, published: str, measured: str) -> bool:
    if measured == OWN:
        return paper.families[published].tuned_alike
    return published == measured


def _measured(
    paper: Paper, run: PaperRun, backbone: str, metric: Metric, found: Measurements
) -> MeasuredFigure | str:
    """The figure, or why there is none."""
    if metric in NEGATION:
        # What one task alone points to is negated once for all methods that keep its direction.
        of_vectors = (r for r in found.negations if not r.method and _stands_on(r, run, backbone))
        negation = next(chain(_records_of(paper, run, backbone, found.negations), of_vectors), None)
        if negation is None:
            return NOT_RUN
        mean = negation.target if metric == "negation_target" else negation.control
        return _percent((mean.accuracy, mean.low, mean.high), negation.experts)
    record = next(_records_of(paper, run, backbone, found.records), None)
    if record is None:
        return NOT_RUN
    if record.state != "ok":
        return f"{record.state}: {record.reason}"
    if metric == "accuracy":
        figures = record.accuracy, record.accuracy_low, record.accuracy_high
    else:
        figures = record.normalised_accuracy, record.normalised_low, record.normalised_high
    return _percent(figures, record.experts)


def _records_of(paper: Paper, run: PaperRun, backbone: str, records: Iterable[R]) -> Iterator[R]:
    """The records of a run: of those runs whose hyper-parameters fit, it names the most."""
    for record in records:
        fitting = [other for other in paper.runs.values() if _fits(record, other, backbone)]
        if run in fitting and all(
            len(other.hyperparameters) <= len(run.hyperparameters) for other in fitting
        ):
            yield record


def _fits(record: Envelope, run: PaperRun, backbone: str) -> bool:
    method = record.made_by
    return (
        method is not None
        and method.name == run.method
        and run.hyperparameters.items() <= method.hyperparameters.items()
        and _stands_on(record, run, backbone)
    )


def _stands_on(record: Envelope, run: PaperRun, backbone: str) -> bool:
    return (record.backbone, record.recipe) == (backbone, run.recipe)


def _percent(figures: tuple[float | None, ...], experts: ExpertOrigin | None) -> MeasuredFigure:
    value, low, high = (100 * figure for figure in figures if figure is not None)
    return MeasuredFigure(value, low, high, experts.family if experts else OWN)
