"""What the pages are made from: all that was read and derived, in one frozen value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from taskmark.records.catalogue import Catalogue
from taskmark.reports import figures
from taskmark.reports.definitions import RECIPES
from taskmark.reports.evidence import CONTROL
from taskmark.reports.plot_data import largest_error
from taskmark.reports.site.addresses import slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from taskmark.plugins.submission import Submission
    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.records.localisation_record import LocalisationRecord
    from taskmark.records.negation_record import NegationRecord
    from taskmark.records.record import Record
    from taskmark.records.suite_facts import SuiteFacts
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row
    from taskmark.reports.summaries import Summaries, Summary


class _OnBackbone(Protocol):
    """What boards and all kinds of records have in common."""

    @property
    def suite(self) -> SuiteFacts: ...

    @property
    def backbone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class MapView:
    """A heat map with the record that its number is from."""

    record: DisentanglementRecord
    figure: Markup


@dataclass(frozen=True)
class Edition:
    """One version of a suite: its boards, metrics and findings.

    Attributes:
        name: "suite@version", with the start of its hash where that is not enough.
        suite: its facts.
        boards: one a backbone and set of tasks; of a backbone the largest set of tasks first.
        maps: disentanglement records.
        negation: negation records.
        localisation: localisation records.
        summary: its findings, None where it has no board.
    """

    name: str
    suite: SuiteFacts
    boards: tuple[Board, ...]
    maps: tuple[DisentanglementRecord, ...]
    negation: tuple[NegationRecord, ...]
    localisation: tuple[LocalisationRecord, ...]
    summary: Summary | None

    @cached_property
    def folder(self) -> str:
        """Folder of its pages."""
        return slug(self.name)

    @cached_property
    def backbones(self) -> tuple[str, ...]:
        """Everything that was measured on, by name."""
        kinds: tuple[Sequence[_OnBackbone], ...]
        kinds = (self.boards, self.maps, self.negation, self.localisation)
        return tuple(sorted({one.backbone for kind in kinds for one in kind}))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, in the order of the boards."""
        return tuple(dict.fromkeys(task for board in self.boards for task in board.tasks))

    @cached_property
    def n_records(self) -> int:
        """How many records are on its boards."""
        return sum(len(row.records) for board in self.boards for row in board.rows)

    @cached_property
    def map_views(self) -> tuple[MapView, ...]:
        """The maps on one colour scale, drawn once: by backbone, the control last, and recipe."""
        largest = largest_error(self.maps)
        order = {recipe: place for place, recipe in enumerate(RECIPES)}
        listed = sorted(
            self.maps,
            key=lambda r: (
                r.backbone == CONTROL,
                r.backbone,
                order.get(r.recipe, len(order)),
                r.recipe,
                r.expert_seed,
            ),
        )
        return tuple(
            MapView(record, figures.heat_map(record, largest=largest)) for record in listed
        )

    def boards_of(self, backbone: str) -> tuple[Board, ...]:
        """The boards of a backbone, one a set of tasks."""
        return tuple(board for board in self.boards if board.backbone == backbone)


@dataclass(frozen=True)
class Content:
    """All that the pages are made from.

    Attributes:
        editions: the default one first.
        tables: name of a file -> its bytes.
        catalogue: what the runs said of methods, tasks and backbones.
        claims: id of a record -> the submission that it belongs to.
        notice: a sentence for the top of every page.
    """

    editions: tuple[Edition, ...]
    tables: dict[str, bytes]
    catalogue: Catalogue = field(default_factory=Catalogue)
    claims: Mapping[str, Submission] = field(default_factory=dict)
    notice: str = ""

    def claim(self, row: Row) -> Submission | None:
        """The submission that a row, or a part of it, belongs to."""
        return next(
            (self.claims[r.record_id] for r in row.records if r.record_id in self.claims), None
        )

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """Every record once, in the order of the boards."""
        return tuple(
            {
                record.record_id: record
                for edition in self.editions
                for board in edition.boards
                for row in board.rows
                for record in row.records
            }.values()
        )

    @cached_property
    def rows(self) -> dict[str, list[tuple[Edition, Board, Row]]]:
        """Name of a method -> its rows everywhere."""
        found: dict[str, list[tuple[Edition, Board, Row]]] = {}
        for edition in self.editions:
            for board in edition.boards:
                for row in board.rows:
                    found.setdefault(row.method.name, []).append((edition, board, row))
        return dict(sorted(found.items()))


def editions(
    boards: Sequence[Board],
    maps: Sequence[DisentanglementRecord],
    found: Summaries,
    negation: Sequence[NegationRecord] = (),
    localisation: Sequence[LocalisationRecord] = (),
) -> tuple[Edition, ...]:
    """Sort what was read by edition; the one with the most records first."""
    kinds: tuple[Sequence[_OnBackbone], ...] = (boards, maps, negation, localisation)
    suites = {one.suite.sha256: one.suite for kind in kinds for one in kind}
    labels = Counter(suite.label for suite in suites.values())
    listed = []
    for sha256, suite in suites.items():
        name = suite.label
        if labels[suite.label] > 1:
            name += f" ({sha256[:8]})"
        listed.append(
            Edition(
                name=name,
                suite=suite,
                boards=tuple(board for board in boards if board.suite.sha256 == sha256),
                maps=tuple(record for record in maps if record.suite.sha256 == sha256),
                negation=tuple(record for record in negation if record.suite.sha256 == sha256),
                localisation=tuple(r for r in localisation if r.suite.sha256 == sha256),
                summary=next((s for s in found.summaries if s.suite.sha256 == sha256), None),
            )
        )
    return tuple(sorted(listed, key=lambda e: (-e.n_records, e.name)))
