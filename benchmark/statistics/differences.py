"""The difference of two measurements on the same images, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from taskmark.statistics.pairwise import differences
from taskmark.statistics.resampling import (
    LEVEL,
    RESAMPLES,
    Floats,
    Scores,
    replicates,
    resampled_sums,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    Each is normalised by its own experts. The standard error comes from resamples of images that
    are the same for both and, from three expert seeds on, from the variance of the difference over
    seeds besides; the interval is Student's t, with the degrees of freedom of Welch and
    Satterthwaite, infinite for one or two seeds. It is the interval of this one comparison.

    Args:
        first: bits, with the same expert seeds, tasks and images as the second.
        second: bits.
        measure: what is compared.
        resamples: number of replicates.
        seed: of their generator.

    Raises:
        ValueError: if the bits do not belong to the same seeds, tasks and images.
    """
    both = replicates([first, second], resamples, np.random.default_rng(seed))
    return _difference(both[0] if measure == "accuracy" else both[1])


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


def _difference(both: Floats) -> Difference:
    """From replicates of two competitors, [1 + R, 2, S]."""
    found = differences(both)
    first, second = both[0].mean(axis=1)
    value, margin = float(found.value[0, 1]), float(found.margin(LEVEL)[0, 1])
    return Difference(float(first), float(second), value, value - margin, value + margin)
