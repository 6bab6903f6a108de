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

    from taskmark.methods.coefficients import Groups
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
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    budget: int


@dataclass(frozen=True, slots=True)
class Learnt:
    """What learning found best on the images held out."""

    coefficients: Tensor  # [K, G]
    vector: Tensor  # [P]
    held_out_loss: float


def learn(
    loss: TaskLoss,
    coefficients: Tensor,
    directions: Tensor,
    slices: Groups,
    *,
    base: Tensor,
    training: Training,
) -> Learnt:
    """Minimise the loss of base + combine(c, directions) over c by AdamW.

    After every epoch, and when the budget ends, the loss on the images held out is taken; the
    coefficients with the lowest are returned, which may be those that it started from.

    Args:
        loss: the loss of a vector on a batch.
        coefficients: where to start, [K, G].
        directions: [K, P].
        slices: G of them.
        base: the vector that c = 0 stands for, [P].
        training: the optimiser and when it ends.
    """
    coefficients = coefficients.clone()
    optimiser = torch.optim.AdamW(
        [coefficients], lr=training.learning_rate, weight_decay=training.weight_decay
    )
    per_task = max(1, training.batch_size // loss.n_tasks)
    steps_left = training.budget // (per_task * loss.n_tasks)
    batches = loss.batches(per_task)

    steps = descent(loss, batches, coefficients, optimiser, directions, slices, base=base)
    vector = base + combine(coefficients, directions, slices)
    best = Learnt(coefficients.clone(), vector, loss.held_out(vector))
    stale = 0
    for _ in range(training.epochs):
        n_steps = min(steps_left, math.ceil(loss.fit_size / per_task))
        if not n_steps:
            break
        *_, vector = islice(steps, n_steps)
        steps_left -= n_steps
        held_out_loss = loss.held_out(vector)
        if held_out_loss < best.held_out_loss:
            best, stale = Learnt(coefficients.clone(), vector, held_out_loss), 0
        else:
            stale += 1
        if stale == training.patience:
            break
    return best


def descent(
    loss: TaskLoss,
    batches: Iterator[Mapping[str, Tensor]],
    coefficients: Tensor,
    optimiser: torch.optim.Optimizer,
    directions: Tensor,
    slices: Groups,
    *,
    base: Tensor,
) -> Iterator[Tensor]:
    """Take a step on each batch, and yield the vector that it leads to.

    Args:
        loss: the loss of a vector on a batch.
        batches: indices of images by task.
        coefficients: c, [K, G]; each step writes to it.
        optimiser: of `coefficients`.
        directions: [K, P].
        slices: G of them.
        base: the vector that c = 0 stands for, [P].
    """
    vector = combine(coefficients, directions, slices).add_(base)
    for batch in batches:
        leaf = vector.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf, batch), leaf)  # [P]
        coefficients.grad = coefficient_gradient(gradient, directions, slices)
        optimiser.step()
        vector = combine(coefficients, directions, slices).add_(base)
        yield vector
