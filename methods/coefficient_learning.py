"""Learning coefficients by gradient descent, within the budget that the suite grants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch

from taskmark.methods.coefficients import coefficient_gradient, combine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from taskmark.methods.coefficients import Directions, Groups
    from taskmark.methods.task_loss import TaskLoss


@dataclass(frozen=True, slots=True)
class Training:
    """How coefficients are learned.

    Attributes:
        learning_rate: of AdamW, constant.
        weight_decay: of AdamW, towards coefficients of zero.
        batch_size: images of all tasks together in a step; rounded down to the same number of
            each task, at least one.
        epochs: at most so many passes over the images of the largest task.
        patience: stop after so many epochs without a lower loss on the images held out.
        budget: at most so many images are passed backward.
        clip_norm: the longest that the gradient of all coefficients together may be; None is any.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    budget: int
    clip_norm: float | None = None


@dataclass(frozen=True, slots=True)
class Learnt:
    """What learning found best on the images held out."""

    coefficients: Tensor  # [K, G]
    vector: Tensor  # [P]
    held_out_loss: float
    linearised_at: Tensor | None = None  # [P], see `Edit`


def learn(
    loss: TaskLoss,
    coefficients: Tensor,
    directions: Directions,
    slices: Groups,
    *,
    base: Tensor | float,
    training: Training,
) -> Learnt:
    """Minimise the loss of base + combine(c, directions) over c by AdamW.

    After every epoch, and when the budget ends, the loss on the images held out is taken; the
    coefficients with the lowest are returned, which may be those that it started from.

    Memory: as `descent`, which the vector that it returns is part of, and the best coefficients.

    Args:
        loss: the loss of a vector on a batch.
        coefficients: where to start, [K, G].
        directions: [K, P].
        slices: G of them.
        base: the vector that c = 0 stands for, [P], or 0.
        training: the optimiser and when it ends.
    """
    coefficients = coefficients.clone()
    optimiser = torch.optim.AdamW(
        [coefficients], lr=training.learning_rate, weight_decay=training.weight_decay
    )
    per_task = max(1, training.batch_size // loss.n_tasks)
    steps_left = training.budget // (per_task * loss.n_tasks)
    batches = loss.batches(per_task)

    steps = descent(
        loss,
        batches,
        coefficients,
        optimiser,
        directions,
        slices,
        base=base,
        clip_norm=training.clip_norm,
    )
    vector = next(steps)
    best, lowest = coefficients.clone(), loss.held_out(vector)
    stale = 0
    for _ in range(training.epochs):
        n_steps = min(steps_left, math.ceil(loss.fit_size / per_task))
        if not n_steps:
            break
        for vector in islice(steps, n_steps):  # noqa: B007 - the last is looked at
            pass
        steps_left -= n_steps
        held_out_loss = loss.held_out(vector)
        if held_out_loss < lowest:
            best, lowest, stale = coefficients.clone(), held_out_loss, 0
        else:
            stale += 1
        if stale == training.patience:
            break
    vector = combine(best, directions, slices).add_(base)
    return Learnt(best, vector, lowest)


def descent(
    loss: TaskLoss,
    batches: Iterator[Mapping[str, Tensor]],
    coefficients: Tensor,
    optimiser: torch.optim.Optimizer,
    directions: Directions,
    slices: Groups,
    *,
    base: Tensor | float,
    clip_norm: float | None = None,
) -> Iterator[Tensor]:
    """Yield the vector of the start, then take a step on each batch, and yield where it leads.

    Memory: the vector, the weights that run, and their gradient, [P] each; the activations of a
    batch; and for each coefficient its gradient and the two moments of the optimiser.

    Args:
        loss: the loss of a vector on a batch.
        batches: indices of images by task.
        coefficients: c, [K, G]; each step writes to it.
        optimiser: of `coefficients`.
        directions: [K, P].
        slices: G of them.
        base: the vector that c = 0 stands for, [P], or 0.
        clip_norm: see `Training`.
    """
    vector = combine(coefficients, directions, slices).add_(base)
    yield vector
    for batch in batches:
        leaf = vector.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf, batch), leaf)  # [P]
        coefficients.grad = coefficient_gradient(gradient, directions, slices)
        del gradient, leaf  # or they are still there in the next pass
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_([coefficients], clip_norm)
        optimiser.step()
        vector = combine(coefficients, directions, slices).add_(base)
        yield vector
