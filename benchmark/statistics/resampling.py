"""Paired resampling: the same test images drawn for everything that is compared, task by task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Bits: TypeAlias = NDArray[np.bool_]
"""One bit per test image of a task, 1 = classified correctly, [n]."""

Floats: TypeAlias = NDArray[np.float64]

RESAMPLES = 2000
"""Replicates of a bootstrap, unless said otherwise."""

_COUNTS_IN_MEMORY = 4_000_000
_DISTINCT_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Scores:
    """What one competitor and the experts that normalise it got right, by expert seed and task.

    Attributes:
        correct: expert seed -> task -> one value per test image, [n]. A bit, or the mean of the
            bits of several method seeds.
        reference: the same of the experts that normalise it, on the same images.
    """

    correct: Mapping[int, Mapping[str, Bits | Floats]]
    reference: Mapping[int, Mapping[str, Bits | Floats]]


@dataclass(frozen=True, slots=True)
class Replicates:
    """Scores of M competitors by resampled images, [1 + R, M, S] each; replicate 0 is the data.

    Attributes:
        accuracy: share of correct images.
        reference: the same of the experts.
        normalised: the first over the second, task by task.
        n_items: number of images; for a mean over tasks, the number that would have its variance
            if all were alike (Kish 1965).
    """

    accuracy: Floats
    reference: Floats
    normalised: Floats
    n_items: float

    def of_competitors(self, places: Sequence[int]) -> Replicates:
        """Return those of some of the competitors, in this order."""
        chosen = list(places)
        return Replicates(
            self.accuracy[:, chosen],
            self.reference[:, chosen],
            self.normalised[:, chosen],
            self.n_items,
        )

    def of_seed(self, place: int) -> Replicates:
        """Return those of one seed alone."""
        one = slice(place, place + 1)
        return Replicates(
            self.accuracy[..., one],
            self.reference[..., one],
            self.normalised[..., one],
            self.n_items,
        )


def mean_over_tasks(replicates: Iterable[Replicates]) -> Replicates:
    """Average the replicates of several tasks, at least one."""
    tasks = iter(replicates)
    first = next(tasks)
    sides = [first.accuracy.copy(), first.reference.copy(), first.normalised.copy()]
    n_tasks, shares = 1, 1 / first.n_items
    for task in tasks:
        for side, of_task in enumerate((task.accuracy, task.reference, task.normalised)):
            sides[side] += of_task
        n_tasks, shares = n_tasks + 1, shares + 1 / task.n_items
    accuracy, reference, normalised = (side / n_tasks for side in sides)
    return Replicates(accuracy, reference, normalised, n_tasks**2 / shares)


def replicates(
    competitors: Sequence[Scores], resamples: int, generator: np.random.Generator
) -> Replicates:
    """Resample the means over tasks."""
    return mean_over_tasks(
        of_task for _, of_task in replicates_by_task(competitors, resamples, generator)
    )


def replicates_by_task(
    competitors: Sequence[Scores], resamples: int, generator: np.random.Generator
) -> Iterator[tuple[str, Replicates]]:
    """Resample each task by itself."""
    seeds = sorted(competitors[0].correct)
    tasks = sorted(competitors[0].correct[seeds[0]])
    _check_alike(competitors, seeds, tasks)
    shape = (1 + resamples, len(competitors), len(seeds))
    for task in tasks:
        correct, reference = (
            [scores[s][task] for scores in side for s in seeds]
            for side in ([c.correct for c in competitors], [c.reference for c in competitors])
        )
        # Experts are shared by methods, and some methods agree: count each column once.
        place: dict[bytes, int] = {}
        columns: list[NDArray[np.float32]] = []
        where: list[int] = []
        for bits in correct + reference:
            column = np.asarray(bits, dtype=np.float32)
            where.append(place.setdefault(column.tobytes(), len(columns)))
            if where[-1] == len(columns):
                columns.append(column)
        stacked = np.stack(columns, axis=1)  # [n, C]
        of_data = stacked.sum(axis=0, dtype=np.float64)
        sums = np.vstack([of_data, resampled_sums(stacked, resamples, generator)])
        n_correct = sums[:, where[: len(correct)]].reshape(shape)
        n_reference = np.maximum(sums[:, where[len(correct) :]].reshape(shape), 1.0)
        n = len(stacked)
        yield task, Replicates(n_correct / n, n_reference / n, n_correct / n_reference, float(n))


def _check_alike(competitors: Sequence[Scores], seeds: list[int], tasks: list[str]) -> None:
    """Refuse competitors whose bits do not belong to the same seeds, tasks and images."""
    sizes = {task: len(competitors[0].correct[seeds[0]][task]) for task in tasks}
    for competitor in competitors:
        for side in (competitor.correct, competitor.reference):
            for expert_seed in seeds:
                found = {task: len(bits) for task, bits in side.get(expert_seed, {}).items()}
                if sorted(side) != seeds or found != sizes:
                    raise ValueError(
                        f"competitors must share seeds, tasks and images: expected seeds {seeds} "
                        f"with {sizes}, found seeds {sorted(side)} with {found}"
                    )


def resampled_sums(
    columns: NDArray[np.float32] | Floats, resamples: int, generator: np.random.Generator
) -> Floats:
    """Sum each column over n images drawn with replacement, [n, C] -> [R, C]."""
    n = len(columns)
    rows = np.ascontiguousarray(columns)
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
    _, first, share = np.unique(as_bytes, return_index=True, return_counts=True)
    if len(first) <= n * _DISTINCT_SHARE:
        # Few kinds of images: drawing how often each kind comes up is the same and much cheaper.
        counts = generator.multinomial(n, share / n, size=resamples)
        return np.asarray(counts @ rows[first].astype(np.float64), dtype=np.float64)
    sums = np.empty((resamples, rows.shape[1]))
    step = max(1, _COUNTS_IN_MEMORY // n)
    for start in range(0, resamples, step):
        drawn = generator.integers(0, n, size=(min(step, resamples - start), n))
        counts = np.stack([np.bincount(images, minlength=n) for images in drawn])
        sums[start : start + len(drawn)] = counts.astype(rows.dtype) @ rows
    return sums
