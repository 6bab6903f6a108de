"""Records become bits by seed and task, each beside the experts that normalise it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from taskmark.records.packing import unpack_bits
from taskmark.statistics.resampling import Scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from taskmark.records.record import Record, TaskResult

EXPERTS = "experts"
"""Name of the reference row whose bits normalise all others."""

_SAME_RATIO = 1e-6


class ExpertBits:
    """The experts of one board, found by recipe and seed."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._by_seed: dict[int, list[Record]] = defaultdict(list)
        for record in records:
            if record.method.name == EXPERTS and record.state == "ok":
                self._by_seed[record.seeds.expert].append(record)

    def of(self, record: Record) -> dict[str, NDArray[np.float64]]:
        """Bits of the experts that normalise a record, task -> [n].

        They are those of the same seed, first of the same recipe, whose accuracies give the
        normalised accuracies on the record. Where no such row is at hand, the experts' accuracy
        follows from the record itself and stands on every image: it is known, but not which
        images were right, so it adds no uncertainty of its own.
        """
        candidates = sorted(
            self._by_seed[record.seeds.expert],
            key=lambda experts: (experts.recipe != record.recipe, experts.record_id),
        )
        for experts in candidates:
            results = {result.task: result for result in experts.tasks}
            if all(_normalises(results.get(result.task), result) for result in record.tasks):
                return {result.task: bits_of(results[result.task]) for result in record.tasks}
        return {
            result.task: np.full(result.n, result.accuracy / (result.normalised_accuracy or 1.0))
            for result in record.tasks
        }


def scores_of(
    records: Sequence[Record], experts: ExpertBits, *, tasks: Sequence[str] | None = None
) -> Scores:
    """Gather one row's records by expert seed; several method seeds are averaged image by image.

    Args:
        records: records of one row, all "ok".
        experts: the experts of the board.
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


def _normalises(expert: TaskResult | None, result: TaskResult) -> bool:
    if expert is None or expert.n != result.n:
        return False
    ratio = result.n_correct / max(expert.n_correct, 1)
    return abs(ratio - result.normalised_accuracy) <= _SAME_RATIO
