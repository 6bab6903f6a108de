"""The scale search: the coefficient of a merged vector, chosen on validation with equal trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskmark.inference.racing import advance, begin
from taskmark.records.record import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark.contract.edit import Edit
    from taskmark.contract.method import Method
    from taskmark.inference.items import Items
    from taskmark.inference.readers import Reader

RACING_ERROR = 0.05


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


@dataclass(frozen=True, slots=True)
class Racing:
    """How a race is run.

    Attributes:
        seed: of the order in which images are read.
        block: images read between two looks at which scales can still win.
        error: the probability of dropping the winner that is allowed.
    """

    seed: int
    block: int
    error: float = RACING_ERROR


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
    n_read = np.repeat(_sizes(items)[:, None], len(scales), axis=1)
    return _curve(n_correct, n_read, _references(items, experts), scales)


def race(
    read: Reader,
    edit: Edit,
    items: Mapping[str, Items],
    experts: Mapping[str, float],
    scales: Sequence[float],
    racing: Racing,
) -> tuple[Trial, ...]:
    """As `search`, but scales that cannot win are read no further (see `inference.racing`).

    The winner of the exact search is lost with a probability of at most `racing.error`; the scales
    that are left at the end were read on every image, and their trials are those of `search`.

    Returns:
        One trial a scale, in order; `n_images` says on how many images it was read.
    """
    sizes, reference = _sizes(items), _references(items, experts)
    # What an image that is right adds to the mean normalised accuracy, by task.
    weight = 1 / (len(sizes) * reference * sizes)
    task_of = np.repeat(np.arange(len(sizes)), sizes)  # [N], of each image of all tasks in a row
    place = np.concatenate([np.arange(size) for size in sizes])  # [N], within its task
    order = np.random.default_rng(racing.seed).permutation(len(task_of))
    n_correct = np.zeros((len(sizes), len(scales)), dtype=np.int64)
    n_read = np.zeros_like(n_correct)
    state = begin(len(scales), n_images=len(order), largest=weight.max(), error=racing.error)
    for block in (order[at : at + racing.block] for at in range(0, len(order), racing.block)):
        running = np.flatnonzero(state.running).tolist()
        parts = {
            task: own.at(torch.from_numpy(place[block[task_of[block] == row]]))
            for row, (task, own) in enumerate(items.items())
            if (task_of[block] == row).any()
        }
        answers = predict(read, edit, parts, [scales[scale] for scale in running])
        values = np.zeros((len(block), len(running)))
        for row, task in enumerate(items):
            if task in parts:
                correct = parts[task].correct(answers[task]).numpy().T  # [B of the task, R]
                values[task_of[block] == row] = weight[row] * correct
                n_correct[row, running] += correct.sum(0)
                n_read[row, running] += len(correct)
        state = advance(state, values)
    return _curve(n_correct, n_read, reference, scales)


def best(trials: Sequence[Trial]) -> Trial:
    """The trial of highest mean normalised accuracy; of equal ones, that of smallest scale.

    Trials that were not read on all images are out.
    """
    most = max(trial.n_images for trial in trials)
    whole = (trial for trial in trials if trial.n_images == most)
    return max(whole, key=lambda trial: (trial.normalised_accuracy, -abs(trial.scale)))


def _sizes(items: Mapping[str, Items]) -> NDArray[np.int64]:
    return np.array([len(own) for own in items.values()])


def _references(items: Mapping[str, Items], experts: Mapping[str, float]) -> NDArray[np.float64]:
    # An expert with nothing right counts as having one image right, as in the statistics.
    return np.array([max(experts[task], 1 / len(own)) for task, own in items.items()])


def _curve(
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
