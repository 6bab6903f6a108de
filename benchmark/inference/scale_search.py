"""The scale search: the coefficient of a merged vector, chosen on validation with equal trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from taskmark.records.record import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark.contract.edit import Edit
    from taskmark.contract.method import Method
    from taskmark.inference.items import Items
    from taskmark.inference.readers import Reader


def is_interval(value: object) -> bool:
    """Whether a scale range is two finite numbers, the smaller first."""
    return (
        isinstance(value, tuple)
        and len(value) == 2  # noqa: PLR2004
        and all(isinstance(end, int | float) and math.isfinite(end) for end in value)
        and value[0] < value[1]
    )


def scale_range_of(
    method: Method, instead: Mapping[str, tuple[float, float]]
) -> tuple[float, float] | None:
    """The interval of scales to search: the suite's for this method, or else the method's own."""
    return instead.get(method.name, method.scale_range)


def candidates(scale_range: tuple[float, float] | None, trials: int) -> tuple[float, ...]:
    """The scales to try: evenly spaced, both ends among them; (1,) where the scale is fixed."""
    if scale_range is None:
        return (1.0,)
    low, high = scale_range
    return tuple(round(float(scale), 10) for scale in np.linspace(low, high, trials))


def predict(
    read: Reader, edit: Edit, items: Mapping[str, Items], scales: Sequence[float]
) -> dict[str, Tensor]:
    """Answers of the edited model at each scale, task -> [S, N]."""
    work = {task: own.under(edit.heads.get(task, own.head)) for task, own in items.items()}
    shared = {task: own for task, own in work.items() if task not in edit.tasks_with_own_weights}
    at = edit.linearised_at
    answers = read.predict(edit.vector, scales, shared, at) if shared else {}
    for task in edit.tasks_with_own_weights:
        if task in work:
            answers |= read.predict(edit.for_task(task), scales, {task: work[task]}, at)
    return {task: answers[task] for task in items}


def search(
    read: Reader,
    edit: Edit,
    items: Mapping[str, Items],
    experts: Mapping[str, float],
    scales: Sequence[float],
) -> tuple[Trial, ...]:
    """Measure every scale on validation.

    Args:
        read: how weights are read.
        edit: what a method returned.
        items: of validation, by task.
        experts: validation accuracy of each task's expert.
        scales: what to try.

    Returns:
        One trial a scale, in order.
    """
    answers = predict(read, edit, items, scales)
    n_correct = np.stack(  # [T, S]
        [own.correct(answers[task]).sum(1).numpy() for task, own in items.items()]
    )
    n_read = np.repeat(sizes_of(items)[:, None], len(scales), axis=1)
    return curve_of(n_correct, n_read, references_of(items, experts), scales)


def best(trials: Sequence[Trial]) -> Trial:
    """The trial of highest mean normalised accuracy; of equal ones, that of smallest scale.

    Trials that were not read on all images are out.
    """
    most = max(trial.n_images for trial in trials)
    whole = (trial for trial in trials if trial.n_images == most)
    return max(whole, key=lambda trial: (trial.normalised_accuracy, -abs(trial.scale)))


def sizes_of(items: Mapping[str, Items]) -> NDArray[np.int64]:
    """Items of each task, [T]."""
    return np.array([len(own) for own in items.values()])


def references_of(items: Mapping[str, Items], experts: Mapping[str, float]) -> NDArray[np.float64]:
    """The experts' accuracy on each task, above zero, [T]."""
    # An expert with nothing right counts as having one image right, as in the statistics.
    return np.array([max(experts[task], 1 / len(own)) for task, own in items.items()])


def curve_of(
    n_correct: NDArray[np.int64],
    n_read: NDArray[np.int64],
    reference: NDArray[np.float64],
    scales: Sequence[float],
) -> tuple[Trial, ...]:
    """The trials of counts [T, S]; a task of which a scale has read nothing is left out of it."""
    seen = n_read > 0
    accuracy = n_correct / np.maximum(n_read, 1)
    means, ratios = (
        np.where(seen, values, 0).sum(0) / seen.sum(0)
        for values in (accuracy, accuracy / reference[:, None])
    )
    return tuple(
        Trial(
            scale=scale,
            n_images=int(n),
            accuracy=float(mean),
            normalised_accuracy=float(ratio),
        )
        for scale, n, mean, ratio in zip(scales, n_read.sum(0), means, ratios, strict=True)
    )
