"""Paired resampling: the same test images drawn for everything that is compared, task by task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Bits: TypeAlias = NDArray[np.bool_]
"""One bit per test image of a task, 1 = classified correctly, [n]."""

Floats: TypeAlias = NDArray[np.float64]

LEVEL = 0.05
"""Share of errors allowed: intervals are 95 % intervals, families of tests err with at most 5 %."""

RESAMPLES = 2000
"""Replicates of a bootstrap, unless said otherwise."""

SEEDS_RESAMPLED_FROM = 3
"""With fewer expert seeds than this, results are conditional on those seeds."""

_COUNTS_IN_MEMORY = 4_000_000
_DISTINCT_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Scores:
    """What one competitor and its experts got right, by expert seed and task.

    Attributes:
        correct: expert seed -> task -> one value per test image, [n]. A bit, or the mean of the
            bits of several method seeds.
        reference: the same of the experts that normalise it, on the same images.
    """

    correct: Mapping[int, Mapping[str, Bits | Floats]]
    reference: Mapping[int, Mapping[str, Bits | Floats]]


def replicates(
    competitors: Sequence[Scores], resamples: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Accuracy and normalised accuracy, [1 + R, M, S] each; replicate 0 is the data itself."""
    shape = (1 + resamples, len(competitors), len(competitors[0].correct))
    accuracy, normalised = np.zeros(shape), np.zeros(shape)
    n_tasks = 0
    for _, of_task, normalised_of_task in replicates_by_task(competitors, resamples, generator):
        accuracy += of_task
        normalised += normalised_of_task
        n_tasks += 1
    return accuracy / n_tasks, normalised / n_tasks


def replicates_by_task(
    competitors: Sequence[Scores], resamples: int, generator: np.random.Generator
) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield each task with its accuracy and normalised accuracy, as `replicates` averages them."""
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
        n_reference = sums[:, where[len(correct) :]].reshape(shape)
        yield task, n_correct / len(stacked), n_correct / np.maximum(n_reference, 1.0)


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


def seed_weights(n_seeds: int, resamples: int, generator: np.random.Generator) -> Floats:
    """Weights of the expert seeds in each replicate, [1 + R, S]; rows add up to 1."""
    weights = np.full((1 + resamples, n_seeds), 1 / n_seeds)
    if n_seeds >= SEEDS_RESAMPLED_FROM:
        drawn = generator.multinomial(n_seeds - 1, weights[0], size=resamples)
        weights[1:] = drawn / (n_seeds - 1)
    return weights


def over_seeds(replicates: Floats, weights: Floats) -> Floats:
    """Weighted mean over seeds, [1 + R, M, S] and [1 + R, S] -> [1 + R, M]."""
    mean: Floats = np.einsum("rms,rs->rm", replicates, weights)
    return mean


def percentiles(replicates: Floats) -> tuple[float, float]:
    """Ends of the 95 % percentile interval of replicates, [R]."""
    low, high = np.quantile(replicates, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
