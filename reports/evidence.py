"""What the records of one suite say for or against a finding: differences, or what is missing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from taskmark.records.disentanglement_record import points_in_unit_square
from taskmark.records.packing import unpack_counts
from taskmark.reports.scores import ExpertBits, choose_ruler, scores_of
from taskmark.statistics.differences import Difference, Measure, error_difference, score_difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row

Compares = Literal["accuracy", "normalised_accuracy", "own_recipe"]

CONTROL = "random"
"""Name of the backbone with random weights."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A difference and the expert seeds it is a mean over; or, without it, what is missing."""

    difference: Difference | None = None
    seeds: tuple[int, ...] = ()
    missing: str = ""


class MissingError(Exception):
    """A comparison lacks a row, a map or a backbone; the message says which."""


class Evidence:
    """The boards and maps of one edition of a suite, asked by backbone, method and recipe."""

    def __init__(self, boards: Iterable[Board], maps: Iterable[DisentanglementRecord]) -> None:
        self._boards: dict[str, Board] = {}
        self._maps: dict[tuple[str, str], list[DisentanglementRecord]] = defaultdict(list)
        for board in boards:  # of a backbone with several sets of tasks, the largest comes first
            self._boards.setdefault(board.backbone, board)
        for record in maps:
            if record.pairs:  # a single task has none
                self._maps[record.backbone, record.recipe].append(record)
        heads = {record.backbone: record.heads for of in self._maps.values() for record in of}
        self.heads: dict[str, str] = heads | {b.backbone: b.heads for b in self._boards.values()}

    @property
    def backbones(self) -> tuple[str, ...]:
        """All backbones by name, the control last."""
        return tuple(sorted(self.heads, key=lambda name: (name == CONTROL, name)))

    @property
    def mapped_recipes(self) -> tuple[str, ...]:
        """The recipes under which any backbone has a map."""
        return tuple(sorted({recipe for _, recipe in self._maps}))

    def scores(
        self,
        first: tuple[str, str],
        second: tuple[str, str],
        *,
        backbones: tuple[str, str],
        measure: Compares,
    ) -> Compared:
        """Compare two methods.

        Args:
            first: method and recipe.
            second: method and recipe.
            backbones: of the first and of the second.
            measure: what is compared; "own_recipe" is normalised accuracy by the experts of each
                row's own recipe.
        """
        try:
            one, two = (
                self._row(backbone, *row)
                for backbone, row in zip(backbones, (first, second), strict=True)
            )
            sides = [self._boards[backbone] for backbone in backbones]
            _check_alike(sides[0].n_images, sides[1].n_images, what="backbones", of="tasks")
            seeds = _common(
                [r.seeds.expert for r in one.records], [r.seeds.expert for r in two.records]
            )
        except MissingError as error:
            return Compared(missing=str(error))
        found = []
        for board, row in zip(sides, (one, two), strict=True):
            records = [r for r in row.records if r.seeds.expert in seeds]
            all_rows = ExpertBits(record for of in board.rows for record in of.records)
            own = measure == "own_recipe"
            found.append(scores_of(records, all_rows if own else choose_ruler(all_rows)))
        of_shares: Measure = "accuracy" if measure == "accuracy" else "normalised_accuracy"
        return Compared(score_difference(found[0], found[1], measure=of_shares), seeds)

    def errors(self, first: tuple[str, str], second: tuple[str, str]) -> Compared:
        """Compare two disentanglement errors, each given by backbone and recipe."""
        try:
            one, two = self._of(*first), self._of(*second)
            _check_alike(_grids(one), _grids(two), what="maps", of="grids")
            seeds = _common([r.expert_seed for r in one], [r.expert_seed for r in two])
        except MissingError as error:
            return Compared(missing=str(error))
        shares = [
            {r.expert_seed: _image_shares(r) for r in side if r.expert_seed in seeds}
            for side in (one, two)
        ]
        return Compared(error_difference(shares[0], shares[1]), seeds)

    def expert_accuracy(self, backbone: str, recipe: str) -> float | None:
        """Mean accuracy of the experts of a backbone, None where they have no row."""
        try:
            return self._row(backbone, "experts", recipe).accuracy
        except MissingError:
            return None

    def _row(self, backbone: str, method: str, recipe: str) -> Row:
        if backbone not in self._boards:
            raise MissingError(f"no records of the backbone {backbone}")
        named = f"{method}" if recipe == "standard" else f"{method} under the recipe {recipe}"
        rows = [
            row
            for row in self._boards[backbone].rows
            if row.method.name == method and row.recipe == recipe
        ]
        if not rows:
            raise MissingError(f"no row of {named}")
        if len(rows) > 1:
            raise MissingError(
                f"{len(rows)} rows of {named} with different settings, none of which is the one"
            )
        if rows[0].state != "ok":
            raise MissingError(f"the row of {named} is {rows[0].state}: {rows[0].reason}")
        return rows[0]

    def _of(self, backbone: str, recipe: str) -> Sequence[DisentanglementRecord]:
        if (backbone, recipe) not in self._maps:
            raise MissingError(f"no map of {backbone} under the recipe {recipe}")
        return self._maps[backbone, recipe]


def _check_alike(first: object, second: object, *, what: str, of: str) -> None:
    if first != second:
        raise MissingError(f"the two {what} have different {of}")


def _common(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    seeds = tuple(sorted(set(first) & set(second)))
    if not seeds:
        raise MissingError("the two have no expert seed in common")
    return seeds


def _grids(records: Sequence[DisentanglementRecord]) -> set[tuple[object, ...]]:
    return {
        (r.alphas, r.n_images, tuple((pair.task_1, pair.task_2) for pair in r.pairs))
        for r in records
    }


def _image_shares(record: DisentanglementRecord) -> dict[str, NDArray[np.float64]]:
    """Each image's share of xi over the unit square, task -> [n]; their means add up to xi."""
    weight = 1 / (points_in_unit_square(record.alphas) * len(record.pairs))
    shares: dict[str, NDArray[np.float64]] = {}
    for pair in record.pairs:
        for task, counts in ((pair.task_1, pair.images_1), (pair.task_2, pair.images_2)):
            image = unpack_counts(counts).astype(np.float64) * weight
            if task in shares:
                image += shares[task]
            shares[task] = image
    return shares
