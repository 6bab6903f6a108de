"""A board: the rows of one suite and backbone; those that compete are ranked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskmark.reports.row_scores import rank_rows, resample_rows, score_rows
from taskmark.reports.rows import current_sources, gather_rows
from taskmark.reports.scores import ExpertBits, Ruler, choose_ruler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskmark.records.envelope import ExpertOrigin
    from taskmark.records.record import Record
    from taskmark.records.suite_facts import SuiteFacts
    from taskmark.reports.rows import Row
    from taskmark.statistics.intervals import Pairs


@dataclass(frozen=True, slots=True)
class Board:
    """All rows of one suite version and backbone.

    Attributes:
        suite: which suite.
        backbone: which backbone.
        heads: where its heads come from.
        experts: whose they are where they were brought along; boards of different families belong
            to different editions of the suite, which are never shown in one table.
        tasks: in the order of the records.
        n_images: test images by task.
        seeds: the expert seeds that are compared.
        ranked: rows that compete, best normalised accuracy first.
        apart: complete rows that are not one merged model, best first; never ranked.
        references: reference rows, best first; never ranked.
        unranked: what failed, was skipped, is incomplete or stale.
        ruler: the experts that all rows are a share of, None where no row has a score.
        pairs: every difference between two of the ranked rows, in their order.
        by_seed: the boards of each seed alone, where there are several; their rows have no rank,
            which rests on all seeds.
    """

    suite: SuiteFacts
    backbone: str
    heads: str
    tasks: tuple[str, ...]
    n_images: dict[str, int]
    seeds: tuple[int, ...]
    ranked: tuple[Row, ...]
    apart: tuple[Row, ...]
    references: tuple[Row, ...]
    unranked: tuple[Row, ...]
    experts: ExpertOrigin | None = None
    ruler: Ruler | None = field(default=None, compare=False)
    pairs: Pairs | None = field(default=None, compare=False)
    by_seed: dict[int, Board] = field(default_factory=dict, compare=False)

    @property
    def other_ruler(self) -> str:
        """The recipe of the ruler where it is not the standard one; else empty."""
        return " and ".join(self.ruler.others) if self.ruler else ""

    @property
    def family(self) -> str:
        """Of the experts that were brought along; empty where the runs tuned them."""
        return self.experts.family if self.experts else ""

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in the order of the page."""
        return self.ranked + self.apart + self.references + self.unranked

    @property
    def measured(self) -> tuple[Row, ...]:
        """The rows that have scores and are up to date."""
        return self.ranked + self.apart + self.references


def boards(records: Iterable[Record]) -> list[Board]:
    """Sort records into boards.

    A board holds the records of one suite (name, version and hash), one set of tasks and one
    backbone. Records without tasks stand on every board of their suite and backbone.

    Args:
        records: the records that count, see `taskmark.records.identity.keep_newest`.

    Returns:
        The boards, by suite, number of tasks (most first), and backbone.
    """
    listed = list(records)
    sources = current_sources(listed)
    places: dict[tuple[str, str, str, str, str], dict[tuple[str, ...], list[Record]]]
    places = defaultdict(lambda: defaultdict(list))
    for record in listed:
        suite = record.suite
        place = (suite.name, suite.edition, suite.sha256, record.backbone, record.heads)
        places[place][tuple(sorted(result.task for result in record.tasks))].append(record)
    found = []
    for of_place in places.values():
        without_tasks = of_place.pop((), [])
        groups = list(of_place.values()) or [[]]
        found += [_board([*with_tasks, *without_tasks], sources) for with_tasks in groups]
    return sorted(
        found,
        key=lambda b: (b.suite.name, b.suite.edition, b.suite.sha256, -len(b.tasks), b.backbone),
    )


def normalise_records(found: Iterable[Board]) -> dict[str, dict[str, float]]:
    """Normalised accuracy by the rulers of some boards, id of a record -> task -> share."""
    return {
        record.record_id: board.ruler.normalised(record)
        for board in found
        if board.ruler
        for row in board.rows
        for record in row.records
    }


def _board(records: Sequence[Record], sources: Mapping[tuple[str, str], str]) -> Board:
    seeds, rows = gather_rows(records, sources)
    complete = [row for row in rows if row.state in ("ok", "stale")]
    others = [row for row in rows if row.state not in ("ok", "stale")]
    first = records[0]
    board = Board(
        suite=first.suite,
        backbone=first.backbone,
        heads=first.heads,
        tasks=tuple(result.task for result in first.tasks),
        n_images={result.task: result.n for result in first.tasks},
        seeds=seeds,
        experts=first.experts,
        ranked=(),
        apart=(),
        references=(),
        unranked=tuple(others),
    )
    if not complete:
        return board
    experts = ExpertBits(records)
    ruler = choose_ruler(experts)
    board = replace(board, ruler=ruler)
    drawn = resample_rows(complete, ruler)
    together = score_rows(complete, drawn, ruler=ruler, experts=experts)
    competing = sorted(
        (place for place, row in enumerate(together) if _competes(row)),
        key=lambda place: _by_score(together[place]),
    )
    pairs = None
    if competing:
        standings, pairs = rank_rows(drawn, competing)
        for place, standing in zip(competing, standings, strict=True):
            together[place] = replace(together[place], standing=standing)
    by_seed = {
        seed: _filled(
            replace(board, seeds=(seed,)),
            score_rows(complete, drawn, ruler=ruler, experts=experts, seed=seed),
        )
        for seed in (seeds if len(seeds) > 1 else ())
    }
    return replace(_filled(board, together), pairs=pairs, by_seed=by_seed)


def _filled(board: Board, rows: Sequence[Row]) -> Board:
    """Sort scored rows into their places."""
    best_first = sorted(rows, key=_by_score)
    current = [row for row in best_first if row.state == "ok"]
    return replace(
        board,
        ranked=tuple(row for row in current if _competes(row)),
        apart=tuple(r for r in current if not r.one_model and r.method.role != "reference"),
        references=tuple(row for row in current if row.method.role == "reference"),
        unranked=(*(row for row in best_first if row.state == "stale"), *board.unranked),
    )


def _competes(row: Row) -> bool:
    return row.state == "ok" and row.method.role != "reference" and row.one_model


def _by_score(row: Row) -> tuple[float, str, str]:
    return -row.normalised_accuracy, row.label, row.recipe
