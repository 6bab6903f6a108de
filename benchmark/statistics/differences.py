"""Differences of measurements on the same images, and the interval of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from taskmark.statistics.resampling import (
    RESAMPLES,
    Floats,
    Replicates,
    Scores,
    replicates,
    resampled_sums,
)
from taskmark.statistics.uncertainty import ROUNDING, of_differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Errors: TypeAlias = Mapping[int, Mapping[str, Floats]]
    """Expert seed -> task -> each image's share of the disentanglement error, [n].

    The error is the sum over tasks of the mean over images.
    """

Measure = Literal["accuracy", "normalised_accuracy"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first less the second, and the two themselves; [low, high] is a 95 % interval."""

    first: float
    second: float
    value: float
    low: float
    high: float


def score_difference(
    first: Scores,
    second: Scores,
    *,
    measure: Measure,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare two competitors: mean over tasks and expert seeds, the first less the second.

    Each is normalised by the experts that its bits come with. The same images are drawn for both;
    the interval is Student's t, by the method of `taskmark.statistics.uncertainty`: from three
    expert seeds on the variance of the difference over seeds counts too, with one or two the
    interval is conditional on these seeds. It is the interval of this one comparison.

    Args:
        first: bits, with the same expert seeds, tasks and images as the second.
        second: bits.
        measure: what is compared.
        resamples: number of replicates.
        seed: of their generator.

    Raises:
        ValueError: if the bits do not belong to the same seeds, tasks and images.
    """
    drawn = replicates([first, second], resamples, np.random.default_rng(seed))
    step = image_steps(drawn, count_differing_images([first, second]), measure=measure)
    return _difference(drawn.accuracy if measure == "accuracy" else drawn.normalised, step)


def error_difference(
    first: Errors, second: Errors, *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Compare two disentanglement errors, mean over expert seeds, as `score_difference` does.

    Raises:
        ValueError: if the errors do not belong to the same seeds, tasks and images.
    """
    seeds, sizes = sorted(first), _sizes(first)
    if _sizes(second) != sizes:
        raise ValueError(
            f"errors must share seeds, tasks and images: {sizes} is not {_sizes(second)}"
        )
    generator = np.random.default_rng(seed)
    both = np.zeros((1 + resamples, 2, len(seeds)))
    for task in sorted(first[seeds[0]]):
        columns = [side[s][task] for side in (first, second) for s in seeds]
        image = np.stack(columns, axis=1) / len(columns[0])  # [n, 2 S]
        sums = np.vstack([image.sum(axis=0), resampled_sums(image, resamples, generator)])
        both += sums.reshape(both.shape)
    return _difference(both)


def _sizes(errors: Errors) -> dict[int, dict[str, int]]:
    return {s: {task: len(image) for task, image in errors[s].items()} for s in sorted(errors)}


def image_steps(drawn: Replicates, n_differing: NDArray[np.int64], *, measure: Measure) -> Floats:
    """What one image changes in the difference of two competitors, [M, M]; 0 if none differs.

    A competitor whose accuracy is known, the same on every image, changes by none.
    """
    share, step = drawn.accuracy[0].mean(axis=1), np.full(len(n_differing), 1 / drawn.n_items)
    if measure == "normalised_accuracy":
        step /= drawn.reference[0].mean(axis=1)
    seen = (share == 0) | (share == 1) | (drawn.accuracy.mean(axis=2).std(axis=0) > ROUNDING)
    step = np.where(seen, step, 0.0)
    steps: Floats = np.maximum(step[:, None], step[None, :]) * (n_differing > 0)
    return steps


def count_differing_images(competitors: Sequence[Scores]) -> NDArray[np.int64]:
    """Count the images on which two competitors, or their experts, differ, [M, M]."""
    stacked = [
        np.stack(
            [
                np.concatenate([np.asarray(side[s][task], np.float32) for task in sorted(side[s])])
                for side in (competitor.correct, competitor.reference)
                for s in sorted(side)
            ]
        )  # [2 S, N]
        for competitor in competitors
    ]
    n_differing = np.zeros((len(stacked), len(stacked)), dtype=np.int64)
    for i, one in enumerate(stacked):
        for j in range(i):
            differs = (one != stacked[j]).any(axis=0)
            n_differing[i, j] = n_differing[j, i] = int(differs.sum())
    return n_differing


def _difference(both: Floats, image_step: Floats | float = 0.0) -> Difference:
    """From replicates of two competitors, [1 + R, 2, S]."""
    first, second = both[0].mean(axis=1).tolist()
    margin = float(of_differences(both, image_step=image_step).margin()[0, 1])
    value = first - second
    return Difference(first, second, value, value - margin, value + margin)
