"""Choosing how many items pass at once, and how precisely, by what experts do on validation."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING

import torch

from taskmark.inference.passes import measure_batch_size
from taskmark.statistics.intervals import proportion_interval
from taskmark.statistics.uncertainty import LEVEL
from taskmark.store.recording import note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark.inference.items import Items
    from taskmark.inference.passes import Passes
    from taskmark.inference.readers import Reader


_Z = NormalDist().inv_cdf(1 - LEVEL / 2)  # standard errors


def describe_lost_accuracy(
    exact: Mapping[str, NDArray[np.bool_]], fast: Mapping[str, NDArray[np.bool_]]
) -> str | None:
    """Say which accuracy a faster precision moves beyond noise; None where it moves none.

    Noise is what a board shows: the 95 % interval, over images, of a task's accuracy, and that of
    the mean over tasks. Both precisions read the same images, so chance alone moves an accuracy by
    a small part of it.

    Args:
        exact: which images of each task are right in float32, [N] each.
        fast: likewise in the faster precision.

    Returns:
        The part of a sentence.
    """
    changes, errors = [], []
    for task, right in exact.items():
        n, n_correct = len(right), int(right.sum())
        before, after = n_correct / n, float(fast[task].mean())
        low, high = proportion_interval(n_correct, n)
        if not low <= after <= high:
            return f"the accuracy of {task} on validation from {before:.1%} to {after:.1%}"
        changes.append(after - before)
        errors.append((high - low) / (2 * _Z))
    mean, error = math.fsum(changes) / len(changes), math.hypot(*errors) / len(errors)
    if abs(mean) > _Z * error:
        return f"the mean accuracy on validation by {100 * mean:+.2f} points"
    return None


@dataclasses.dataclass(frozen=True, slots=True)
class ReadExperts:
    """Experts as task vectors [P], each with its task's items of validation."""

    vectors: Mapping[str, Tensor]
    validation: Mapping[str, Items]

    def answers(self, read: Reader, task: str, scales: list[float], items: Items) -> Tensor:
        """What a task's expert answers at each scale, [S, N]."""
        return read.predict(self.vectors[task], scales, {task: items})[task]

    def on_validation(self, read: Reader) -> dict[str, Tensor]:
        """Answers on each task's items, before and after tuning, [2, N]."""
        return {
            task: self.answers(read, task, [0.0, 1.0], items)
            for task, items in self.validation.items()
        }

    def pass_some(self, read: Reader, n: int) -> None:
        """Pass n of the largest items that there are, some of them again if they are few."""
        task = max(self.validation, key=lambda task: self.validation[task].inputs[0].numel())
        items = self.validation[task]
        self.answers(read, task, [1.0], items.at(torch.arange(n) % len(items)))

    def right(self, answers: Mapping[str, Tensor]) -> dict[str, NDArray[np.bool_]]:
        """Which items the experts have right, [N], of what `on_validation` returned."""
        return {
            task: self.validation[task].correct(rows[1]).numpy() for task, rows in answers.items()
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Chosen:
    """How items are passed, a reader that does so, and what it found on validation."""

    passes: Passes
    reader: Reader
    on_validation: Mapping[str, Tensor]  # [2, N], see `ReadExperts.on_validation`


def choose_passes(
    experts: ReadExperts,
    read: Callable[[Passes], Reader],
    *,
    usual: Passes,
    fast: torch.dtype | None,
    memory: int | None,
) -> Chosen:
    """Choose how items are passed.

    A faster precision is taken where it moves no expert's accuracy on validation beyond noise (see
    `taskmark.inference.choosing_passes`). Where it does, a note says so.

    Args:
        experts: what is read.
        read: makes a reader that passes items in some way.
        usual: the protocol's way.
        fast: the faster precision; None where there is none.
        memory: bytes of the device, of which a batch takes a share; None on a CPU, where the
            protocol's batch is taken.
    """
    exact = usual
    if memory is not None:
        n = measure_batch_size(
            usual.batch_size, partial(experts.pass_some, read(usual)), total_bytes=memory
        )
        exact = dataclasses.replace(usual, batch_size=n)
    reader = read(exact)
    found = experts.on_validation(reader)
    if fast is None:
        return Chosen(exact, reader, found)
    quick = dataclasses.replace(exact, dtype=fast)
    quick_reader = read(quick)
    quickly = experts.on_validation(quick_reader)
    change = describe_lost_accuracy(experts.right(found), experts.right(quickly))
    if change is None:
        return Chosen(quick, quick_reader, quickly)
    note(f"computed in {exact.dtype_name}, since {quick.dtype_name} moves {change}")
    return Chosen(exact, reader, found)
