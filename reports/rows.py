"""Rows of a board: the records of one method under one recipe, and whether they can be ranked."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from taskmark.records.identity import age, collect_defaults, identify_row
from taskmark.reports.row_labels import RowKey, row_labels
from taskmark.statistics.intervals import ScoreIntervals, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskmark.records.envelope import ExpertOrigin, MethodFacts
    from taskmark.records.record import Record

RowState = Literal["ok", "failed", "skipped", "incomplete", "stale"]
_Stand: TypeAlias = tuple[str, str, str, int]  # the suite's hash, backbone, recipe, expert seed


@dataclass(frozen=True, slots=True)
class Cell:
    """What a row did on one task: means over seeds with their 95 % intervals."""

    task: str
    accuracy: float
    low: float
    high: float
    normalised_accuracy: float
    normalised_low: float
    normalised_high: float


@dataclass(frozen=True, slots=True)
class OwnShare:
    """Accuracy as a share of the experts of the row's own recipe, as papers print it; no rank."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """A method with its hyper-parameters under one recipe, over all seeds of the board.

    Attributes:
        label: the method's name, with what tells it from other rows of the same name.
        method: its facts.
        recipe: name of the recipe.
        records: one for each pair of seeds, those that failed included.
        state: of the row as a whole; "incomplete" if it lacks seeds that the board compares,
            "stale" if a newer record of the suite was made by another version of the method, on
            other files of the same family of experts, or on other weights of a backbone whose hash
            the suite leaves open.
        reason: why it is not "ok".
        cells: one for each task; empty unless all records of the row are "ok" and complete.
        accuracy: mean over seeds and tasks.
        normalised_accuracy: mean over seeds and tasks of the ratio to the expert of the board's
            ruler, which is the standard one.
        intervals: 95 % intervals of the two.
        own: the same with the experts of the row's own recipe.
        standing: rank and difference to the best; None for rows that are not ranked.
    """

    label: str
    method: MethodFacts
    recipe: str
    records: tuple[Record, ...]
    state: RowState
    reason: str = ""
    cells: tuple[Cell, ...] = ()
    accuracy: float = 0.0
    normalised_accuracy: float = 0.0
    intervals: ScoreIntervals = field(default_factory=lambda: ScoreIntervals(0.0, 0.0, 0.0, 0.0))
    own: OwnShare | None = None
    standing: Standing | None = None

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales that were chosen on validation, without repetition."""
        return tuple(sorted({r.scale for r in self.records if r.scale is not None}))

    @property
    def key(self) -> str:
        """What makes it the same row on all boards of a suite."""
        return f"{self.label} · {self.recipe}"

    @property
    def one_model(self) -> bool:
        """Whether the same weights serve all tasks."""
        return all(record.storage is None or record.storage.one_model for record in self.records)


def current_sources(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """The newest source of every method, (suite's hash, method's name) -> hash of its source."""
    newest = {}
    for record in sorted(records, key=age):
        newest[record.suite.sha256, record.method.name] = record.method.source_sha256
    return newest


def current_experts(records: Iterable[Record]) -> dict[_Stand, ExpertOrigin]:
    """The newest experts that were brought along, by what a row stands on."""
    newest = {}
    for record in sorted(records, key=age):
        if record.experts is not None:
            newest[_stand(record)] = record.experts
    return newest


def current_weights(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """The newest weights of every backbone of a suite that leaves them open, by the suite's hash.

    Returns:
        (the suite's hash, backbone) -> SHA-256; nothing where the suite fixes the weights.
    """
    newest = {}
    for record in sorted(records, key=age):
        if weights := _weights(record):
            newest[record.suite.sha256, record.backbone] = weights
    return newest


def _weights(record: Record) -> str:
    return record.provenance.resolved.get(f"backbones.{record.backbone}", "")


def _stand(record: Record) -> _Stand:
    return record.suite.sha256, record.backbone, record.recipe, record.seeds.expert


def gather_rows(
    records: Sequence[Record], sources: Mapping[tuple[str, str], str]
) -> tuple[tuple[int, ...], list[Row]]:
    """Gather the records of a board by method, hyper-parameters and recipe.

    Args:
        records: of one suite, backbone and set of tasks.
        sources: see `current_sources`.

    Returns:
        The expert seeds that the board compares, and the rows without their scores.
    """
    defaults = collect_defaults(records)
    grouped: dict[RowKey, list[Record]] = defaultdict(list)
    for record in records:
        of_seed = identify_row(record, defaults)
        grouped[of_seed.method, of_seed.recipe, of_seed.hyperparameters].append(record)
    labels = row_labels(grouped)
    seeds = _compared_seeds(list(grouped.values()))
    experts, weights = current_experts(records), current_weights(records)
    rows = (_row(labels[key], grouped[key], seeds, sources) for key in sorted(grouped))
    return seeds, [_on_current_weights(_on_current_experts(row, experts), weights) for row in rows]


def _on_current_weights(row: Row, weights: Mapping[tuple[str, str], str]) -> Row:
    """The row, stale if it stands on other weights than the newest record of its board."""
    for record in row.records if row.state == "ok" else ():
        made_on, newest = _weights(record), weights.get((record.suite.sha256, record.backbone), "")
        if made_on != newest:
            reason = (
                f"stands on other weights of {record.backbone} ({made_on[:8] or 'unknown'}) than "
                f"the newest record ({newest[:8]}); run it again"
            )
            return replace(row, state="stale", reason=reason)
    return row


def _on_current_experts(row: Row, experts: Mapping[_Stand, ExpertOrigin]) -> Row:
    """The row, stale if it stands on other files of its family than the newest of its board."""
    for record in row.records if row.state == "ok" else ():
        newest = experts.get(_stand(record))
        if record.experts is not None and newest is not None:
            changed = sorted(
                task
                for task, sha256 in record.experts.files.items()
                if newest.files.get(task) != sha256
                or newest.remainders.get(task) != record.experts.remainders.get(task)
            )
            if changed:
                reason = (
                    f"stands on other experts of the family {newest.family} than the newest record "
                    f"({', '.join(changed)}); run it again, or give one of the two another name"
                )
                return replace(row, state="stale", reason=reason)
    return row


def _compared_seeds(rows: Sequence[Sequence[Record]]) -> tuple[int, ...]:
    """The expert seeds that most rows have; of equally common sets the largest.

    Reference rows, which others lean on, have no vote unless they are alone.
    """
    voters = [row for row in rows if row[0].method.role != "reference"] or rows
    votes = Counter(
        tuple(sorted({record.seeds.expert for record in row if record.state == "ok"}))
        for row in voters
    )
    votes.pop((), None)
    return max(votes, key=lambda seeds: (votes[seeds], len(seeds), seeds), default=())


def _row(
    label: str,
    records: list[Record],
    seeds: tuple[int, ...],
    sources: Mapping[tuple[str, str], str],
) -> Row:
    records = sorted(records, key=lambda record: (record.seeds.expert, record.seeds.method))
    row = Row(
        label=label,
        method=records[-1].method,
        recipe=records[0].recipe,
        records=tuple(records),
        state="ok",
    )
    lacking = sorted(set(seeds) - {record.seeds.expert for record in records})
    for record in records:
        if record.state != "ok" and (record.seeds.expert in seeds or not seeds):
            reason = record.reason or "no reason was recorded"
            return replace(row, state=record.state, reason=reason)
    if lacking:
        listed = ", ".join(str(seed) for seed in lacking)
        return replace(row, state="incomplete", reason=f"lacks expert seed {listed}")
    compared = tuple(record for record in records if record.seeds.expert in seeds)
    for record in compared:
        made_by = record.method.source_sha256
        newest = sources[record.suite.sha256, record.method.name]
        if made_by != newest:
            reason = (
                f"made by an older version of the method ({made_by[:8]}; the newest record of the "
                f"suite has {newest[:8]}); run it again"
            )
            return replace(row, records=compared, state="stale", reason=reason)
    return replace(row, records=compared)
