"""The loss that coefficients are learned on, over all tasks at once, and what is held out of it."""

from __future__ import annotations

import copy
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from taskmark.errors import DoesNotApplyError, TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from taskmark import Given

_HELD_OUT = 5  # every fifth validation image, so that 80 % are learned on
_FORWARD_BATCH = 256  # images a forward pass; changes no result


class TaskLoss:
    """The sum over tasks of the mean loss on a task's validation images.

    L(v) = sum_t mean_x l(h_t(f(x; theta0 + v))), with the task's frozen head h_t, where l is the
    cross-entropy with the label, or without labels the entropy of the prediction,
    -sum_c p_c log p_c.

    Of each task's validation images, those with index 4, 9, 14 ... are held out, unless `hold_out`
    is off: they are never learned on, and tell when to stop and what to keep. Tasks are worked
    through in the order of their names, so that the order in which they were given changes nothing
    but rounding.

    Args:
        given: where images, labels and the model come from.
        labelled: take the cross-entropy; else the entropy.
        tasks: over which tasks it is summed; all where not said.
        hold_out: hold a fifth of the images out; else learn on all.
        linearised_at: see `Edit`; theta0 where not said.

    Attributes:
        n_tasks: T.
        fit_size: images of the largest task that are learned on.

    Raises:
        DoesNotApplyError: if a task has no linear head.
        TaskmarkError: if a task has too few images to hold one out.
    """

    def __init__(
        self,
        given: Given,
        *,
        labelled: bool,
        tasks: Sequence[str] | None = None,
        hold_out: bool = True,
        linearised_at: Tensor | None = None,
    ) -> None:
        self.linearised_at = linearised_at
        tasks = sorted(given.tasks if tasks is None else tasks)
        for task in tasks:
            if not hasattr(given.heads[task], "logits"):
                raise DoesNotApplyError(
                    f"It does not apply here: it needs probabilities of classes, and the task "
                    f"{task!r} has the head {type(given.heads[task]).__name__}, which has no "
                    "classes."
                )
        self._given = given
        self._inputs = {task: given.images(task) for task in tasks}
        self._labels = {task: given.labels(task) for task in tasks} if labelled else {}
        self._fit: dict[str, Tensor] = {}
        self._held_out: dict[str, Tensor] = {}
        for task, inputs in self._inputs.items():
            index = torch.arange(len(inputs))
            held_out = index % _HELD_OUT == _HELD_OUT - 1
            if not hold_out:
                self._fit[task] = index
                continue
            if not held_out.any():
                raise TaskmarkError(
                    f"The task {task!r} has {len(inputs)} validation images; "
                    f"learning coefficients takes {_HELD_OUT} or more."
                )
            self._fit[task], self._held_out[task] = index[~held_out], index[held_out]
        self.n_tasks = len(tasks)
        self.fit_size = max(len(index) for index in self._fit.values())

    def batches(self, size: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches: `size` shuffled indices of each task, its images repeated in turn."""
        streams = {
            task: _shuffle(index, size, self._given.generator) for task, index in self._fit.items()
        }
        while True:
            yield {task: next(stream) for task, stream in streams.items()}

    def at(self, linearised_at: Tensor) -> TaskLoss:
        """The same loss of the model linearised elsewhere."""
        other = copy.copy(self)
        other.linearised_at = linearised_at
        return other

    def held_out(self, vector: Tensor) -> float:
        """The loss on the images that are not learned on, of which there must be some."""
        with torch.no_grad():
            return float(self(vector, self._held_out))

    def __call__(self, vector: Tensor, index: Mapping[str, Tensor]) -> Tensor:
        """The loss at theta0 + vector on the named images.

        Tasks in a row share the forward passes, as long as their images are of one size.
        """
        parts = [self._inputs[task][chosen] for task, chosen in index.items()]
        features = torch.cat(
            [
                self._given.features(vector, batch, linearised_at=self.linearised_at)
                for _, alike in groupby(parts, lambda part: part.shape[1:])
                for batch in torch.split(torch.cat(list(alike)), _FORWARD_BATCH)
            ]
        )
        by_task = torch.split(features, [len(chosen) for chosen in index.values()])
        total = features.new_zeros(())
        for (task, chosen), own in zip(index.items(), by_task, strict=True):
            logits = self._given.heads[task].to(own.device).logits(own)  # [B, C]
            if self._labels:
                labels = self._labels[task][chosen].to(own.device)
                total = total + functional.cross_entropy(logits, labels)
            else:
                total = total + entropy(logits)
        return total


def entropy(logits: Tensor) -> Tensor:
    """The mean entropy of the predictions, in nats: [B, C] -> []."""
    log_p = functional.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(-1).mean()


def _shuffle(index: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Cut an endless sequence of shuffled passes over `index` into batches."""
    queue = index[:0]
    while True:
        while len(queue) < size:
            order = torch.randperm(len(index), generator=generator)
            queue = torch.cat([queue, index[order]])
        yield queue[:size]
        queue = queue[size:]
