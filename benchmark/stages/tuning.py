"""Tuning an expert: AdamW with warm-up, cosine decay and clipping, under a frozen head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from taskmark.inference.batches import on_device
from taskmark.inference.device_cache import keep_on_device
from taskmark.machine.out_of_memory import BatchSplitter
from taskmark.store.tuning_checkpoints import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from taskmark.contract.head import TaskHead
    from taskmark.contract.recipe import Recipe
    from taskmark.contract.weights import WeightSpace
    from taskmark.store.tuning_checkpoints import Checkpoints
    from taskmark.suite.protocol import Tuning


@dataclass(frozen=True, slots=True)
class Expert:
    """A tuned encoder as a task vector, with the mean loss of each epoch."""

    vector: Tensor  # [P]
    losses: tuple[float, ...]


def learning_rate_factor(step: int, n_steps: int, warmup: float) -> float:
    """Linear warm-up over the first steps, then half a cosine down to zero.

    Args:
        step: from 0 to n_steps - 1.
        n_steps: the length of the schedule.
        warmup: the share of it that warms up, or, as an integer, the steps that do; where there are
            no more than these, the rate only rises.
    """
    n_warmup = warmup if isinstance(warmup, int) else max(1, round(warmup * n_steps))
    if step < n_warmup:
        return (step + 1) / n_warmup
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


def batches(n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """One epoch of shuffled indices; the last batch may be smaller."""
    yield from torch.split(torch.randperm(n, generator=generator), batch_size)


def tune(
    encoder: nn.Module,
    space: WeightSpace,
    pretrained: Tensor,
    head: TaskHead,
    inputs: Tensor,
    targets: Tensor,
    *,
    recipe: Recipe,
    tuning: Tuning,
    generator: torch.Generator,
    device: torch.device,
    checkpoints: Checkpoints | None = None,
) -> Expert:
    """Tune the encoder on one task; the head stays frozen.

    The recipe says of which outputs the loss is taken; decay acts on theta under every recipe.

    Args:
        encoder: the module; its own parameters are not used.
        space: the layout of its weights.
        pretrained: theta0, [P].
        head: the task's head.
        inputs: of the train split, [N, ...]; items of bytes may be mapped from a file.
        targets: [N, ...].
        recipe: which model is tuned.
        tuning: optimiser, schedule and length.
        generator: orders the batches.
        device: where to compute; a GPU keeps the data, if it fits. Where memory is short, a
            batch's gradient is added up over parts.
        checkpoints: where progress is kept, and read if there is some; on a CPU the result has the
            same bits as without an interruption.

    Returns:
        The task vector theta - theta0 on the CPU.
    """
    start = pretrained.to(device)
    weights = start.clone().requires_grad_()
    head = head.to(device)
    encoder = encoder.to(device)
    optimiser = torch.optim.AdamW(
        [weights], lr=tuning.learning_rate, weight_decay=tuning.weight_decay
    )
    course, room = _Course(len(inputs), tuning, generator), BatchSplitter()
    if checkpoints and (progress := checkpoints.load()):
        course.restore(progress)
        with torch.no_grad():
            weights.copy_(progress.tensors["weights"])
        optimiser.state[weights].update(_moments(progress.tensors, device))

    def backward(batch: Tensor, answers: Tensor, part: Tensor) -> float:
        own = slice(int(part[0]), int(part[-1]) + 1)
        outputs = recipe.outputs(encoder, space, start, weights, batch[own])
        loss = head.loss(outputs, answers[own], label_smoothing=tuning.label_smoothing)
        (loss * (len(part) / len(batch))).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()) * len(part)

    inputs, targets = keep_on_device(device, inputs, targets)
    for index, batch in course.batches_left(lambda order: on_device(inputs, order, device)):
        answers = targets[index.to(targets.device)].to(device)
        optimiser.param_groups[0]["lr"] = tuning.learning_rate * course.factor
        optimiser.zero_grad(set_to_none=True)
        loss = sum(room.each(partial(backward, batch, answers), torch.arange(len(index))))
        nn.utils.clip_grad_norm_([weights], tuning.clip_norm)
        optimiser.step()
        course.advance(loss)
        if checkpoints and checkpoints.is_due:
            tensors = {"weights": weights.detach(), **optimiser.state[weights]}
            checkpoints.save(course.progress(tensors))
    return Expert((weights.detach() - start).cpu(), tuple(course.losses))


class _Course:
    """How far a tuning has come, and which batches are left of it."""

    def __init__(self, n_items: int, tuning: Tuning, generator: torch.Generator) -> None:
        self._n_items, self._tuning, self._generator = n_items, tuning, generator
        self._n_batches = math.ceil(n_items / tuning.batch_size)
        self._epoch = self._batch = 0
        self._total = 0.0
        self._order = generator.get_state()  # before it shuffles the epoch under way
        self.losses: list[float] = []

    @property
    def factor(self) -> float:
        """What the schedule makes of the learning rate now."""
        n_steps = self._tuning.epochs * self._n_batches
        step = self._epoch * self._n_batches + self._batch
        return learning_rate_factor(step, n_steps, self._tuning.warmup)

    def batches_left(
        self, read: Callable[[list[Tensor]], Iterator[Tensor]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices of items and what is read of them, a batch a step; to be advanced after each.

        Nothing is read ahead over the end of an epoch, so that the generator's state is that of
        the epoch under way.
        """
        while self._epoch < self._tuning.epochs:
            self._order = self._generator.get_state()
            order = list(batches(self._n_items, self._tuning.batch_size, self._generator))
            left = order[self._batch :]
            yield from zip(left, read(left), strict=True)

    def advance(self, loss: float) -> None:
        """Count a batch whose losses have this sum."""
        self._batch += 1
        self._total += loss
        if self._batch == self._n_batches:
            self.losses.append(self._total / self._n_items)
            self._epoch, self._batch, self._total = self._epoch + 1, 0, 0.0
            self._order = self._generator.get_state()

    def progress(self, tensors: dict[str, Tensor]) -> Progress:
        """All that the rest depends on."""
        return Progress(
            self._epoch,
            self._batch,
            self._total,
            tuple(self.losses),
            {"order": self._order, **{name: tensor.cpu() for name, tensor in tensors.items()}},
        )

    def restore(self, progress: Progress) -> None:
        """Go back to where a former process was."""
        self._epoch, self._batch = progress.epoch, progress.batch
        self._total, self.losses = progress.total, list(progress.losses)
        self._generator.set_state(progress.tensors["order"])


def _moments(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    # AdamW counts its steps on the CPU.
    return {
        name: tensor if name == "step" else tensor.to(device)
        for name, tensor in tensors.items()
        if name not in ("weights", "order")
    }
