"""Records become bits by seed and task, each with the experts that normalise it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from taskmark.records.identity import age
from taskmark.records.packing import unpack_bits
from taskmark.statistics.resampling import Scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from taskmark.records.record import Record, TaskResult

    Bits: TypeAlias = dict[str, NDArray[np.float64]]
    """Task -> one number per test image, 1 = correct, [n]."""

STANDARD = "standard"
"""Name of the recipe whose experts normalise, where records say how good they are."""

EXPERTS = "experts"
"""Name of the reference rows, one per recipe, whose bits normalise."""

_SAME_RATIO = 1e-6


class ExpertBits:
    """The experts of one board, found by recipe and seed."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._experts: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self._others: dict[tuple[str, int], list[Record]] = defaultdict(list)
        for record in sorted(records, key=age, reverse=True):
            if record.state == "ok":
                kind = self._experts if record.method.name == EXPERTS else self._others
                kind[record.recipe, record.seeds.expert].append(record)

    def of(self, record: Record) -> Bits:
        """Bits of the experts that the normalised accuracies on a record stand on.

        They are those of the same seed, first of the same recipe, whose accuracies give the
        normalised accuracies on the record. Where no such row is at hand, the experts' accuracy
        follows from the record itself and stands on every image: it is known, but not which
        images were right, so it adds no uncertainty of its own.
        """
        seed = record.seeds.expert
        recipes = sorted({recipe for recipe, of_seed in self._experts if of_seed == seed})
        for recipe in sorted(recipes, key=lambda recipe: recipe != record.recipe):
            for experts in self._experts[recipe, seed]:
                results = {result.task: result for result in experts.tasks}
                if all(_normalises(results.get(result.task), result) for result in record.tasks):
                    return {result.task: bits_of(results[result.task]) for result in record.tasks}
        return {result.task: _implied(result) for result in record.tasks}

    def under(self, recipe: str, seed: int) -> Bits:
        """Bits of the newest experts of a recipe and seed, as far as records say which they are."""
        for experts in self._experts[recipe, seed]:
            return {result.task: bits_of(result) for result in experts.tasks}
        found: dict[str, NDArray[np.float64]] = {}
        for record in self._others[recipe, seed]:
            for result in record.tasks:  # an accuracy of 0 does not say what it is a share of
                if not found.get(result.task, np.zeros(1)).any():
                    found[result.task] = _implied(result)
        return found

    @property
    def recipes(self) -> dict[int, list[str]]:
        """The recipes that there are records of, the standard one first, by expert seed."""
        found: dict[int, set[str]] = defaultdict(set)
        for recipe, seed in (*self._experts, *self._others):
            found[seed].add(recipe)
        return {seed: sorted(of, key=lambda r: (r != STANDARD, r)) for seed, of in found.items()}


@dataclass(frozen=True, slots=True)
class Ruler:
    """The experts that all rows of a board are a share of, by expert seed: recipe and bits."""

    by_seed: dict[int, tuple[str, Bits]]

    @property
    def others(self) -> tuple[str, ...]:
        """The recipes that are not the standard one, where its experts are not known."""
        return tuple(sorted({recipe for recipe, _ in self.by_seed.values()} - {STANDARD}))

    def of(self, record: Record) -> Bits:
        """Bits of the experts that normalise a record, whatever its own recipe is."""
        _, bits = self.by_seed[record.seeds.expert]
        return {result.task: bits[result.task] for result in record.tasks}

    def normalised(self, record: Record) -> dict[str, float]:
        """Normalised accuracy of a record by task; nothing where it has no results."""
        if record.state != "ok":
            return {}
        bits = self.of(record)
        return {r.task: r.n_correct / max(float(bits[r.task].sum()), 1.0) for r in record.tasks}

    def is_own(self, record: Record) -> bool:
        """Whether the normalised accuracies on a record stand on these experts, too."""
        found = self.normalised(record)
        return all(abs(found[r.task] - r.normalised_accuracy) <= _SAME_RATIO for r in record.tasks)


def choose_ruler(experts: ExpertBits) -> Ruler:
    """Choose the experts that normalise all rows of a board.

    They are the standard ones. Where no record says how good those are, as where only experts of
    another recipe were brought along, they are those of the first other recipe.
    """
    return Ruler(
        {
            seed: (recipes[0], experts.under(recipes[0], seed))
            for seed, recipes in experts.recipes.items()
        }
    )


def scores_of(
    records: Sequence[Record],
    experts: ExpertBits | Ruler,
    *,
    tasks: Sequence[str] | None = None,
) -> Scores:
    """Gather one row's records by expert seed; several method seeds are averaged image by image.

    Args:
        records: records of one row, all "ok".
        experts: a share of whose accuracy each row is: the ruler of the board, or the experts that
            each record itself stands on.
        tasks: which tasks; all by default.

    Returns:
        The bits of the row and of its experts.
    """
    by_seed: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_seed[record.seeds.expert].append(record)
    correct, reference = {}, {}
    for seed, of_seed in sorted(by_seed.items()):
        normalisers = experts.of(of_seed[0])
        kept = [result.task for result in of_seed[0].tasks if tasks is None or result.task in tasks]
        bits = [{result.task: bits_of(result) for result in record.tasks} for record in of_seed]
        correct[seed] = {task: np.mean([one[task] for one in bits], axis=0) for task in kept}
        reference[seed] = {task: normalisers[task] for task in kept}
    return Scores(correct=correct, reference=reference)


def bits_of(result: TaskResult) -> NDArray[np.float64]:
    """One number per test image, 1 = correct, [n]."""
    return unpack_bits(result.bits, result.n).astype(np.float64)


def _implied(result: TaskResult) -> NDArray[np.float64]:
    """What a result says of the experts that it is a share of, the same on every image, [n]."""
    return np.full(result.n, result.accuracy / (result.normalised_accuracy or 1.0))


def _normalises(expert: TaskResult | None, result: TaskResult) -> bool:
    if expert is None or expert.n != result.n:
        return False
    ratio = result.n_correct / max(expert.n_correct, 1)
    return abs(ratio - result.normalised_accuracy) <= _SAME_RATIO
