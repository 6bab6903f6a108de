"""Choosing how many images pass at once, and how precisely, by what experts do on validation."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

import torch

from taskmark.inference.passes import fitted
from taskmark.inference.precision import moved
from taskmark.store.recording import note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark.contract.head import Head
    from taskmark.inference.passes import Passes
    from taskmark.inference.readers import Reader


@dataclasses.dataclass(frozen=True, slots=True)
class Tuned:
    """Experts, each with its head and its task's validation split, by task."""

    vectors: Mapping[str, Tensor]  # [P]
    heads: Mapping[str, Head]
    images: Mapping[str, Tensor]  # [N, ...]
    labels: Mapping[str, Tensor]  # [N]

    def predict(self, read: Reader, task: str, scales: list[float], images: Tensor) -> Tensor:
        """Classes that a task's expert predicts on images [N, ...] at each scale, [S, N]."""
        return read.predict(self.vectors[task], scales, {task: (self.heads[task], images)})[task]

    def on_validation(self, read: Reader) -> dict[str, Tensor]:
        """Classes on each task's images, before and after tuning, [2, N]."""
        return {
            task: self.predict(read, task, [0.0, 1.0], images)
            for task, images in self.images.items()
        }

    def pass_some(self, read: Reader, n: int) -> None:
        """Pass n of the largest images that there are, some of them again if they are few."""
        task = max(self.images, key=lambda task: self.images[task][0].numel())
        images = self.images[task]
        self.predict(read, task, [1.0], images[torch.arange(n) % len(images)])

    def right(self, classes: Mapping[str, Tensor]) -> dict[str, NDArray[np.bool_]]:
        """Which images the experts have right, [N], of what `on_validation` returned."""
        return {task: (rows[1] == self.labels[task]).numpy() for task, rows in classes.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Chosen:
    """How images are passed, a reader that does so, and what it found on validation."""

    passes: Passes
    reader: Reader
    on_validation: Mapping[str, Tensor]  # [2, N], see `Tuned.on_validation`


def choose(
    experts: Tuned,
    read: Callable[[Passes], Reader],
    *,
    usual: Passes,
    fast: torch.dtype | None,
    memory: int | None,
) -> Chosen:
    """Choose how images are passed.

    A faster precision is taken where it moves no expert's accuracy on validation beyond noise (see
    `taskmark.inference.precision`). Where it does, a note says so.

    Args:
        experts: what is read.
        read: makes a reader that passes images in some way.
        usual: the protocol's way.
        fast: the faster precision; None where there is none.
        memory: bytes of the device, of which a batch takes a share; None on a CPU, where the
            protocol's batch is taken.
    """
    exact = usual
    if memory is not None:
        n = fitted(usual.batch_size, partial(experts.pass_some, read(usual)), total_bytes=memory)
        exact = dataclasses.replace(usual, batch_size=n)
    reader = read(exact)
    found = experts.on_validation(reader)
    if fast is None:
        return Chosen(exact, reader, found)
    quick = dataclasses.replace(exact, dtype=fast)
    quick_reader = read(quick)
    quickly = experts.on_validation(quick_reader)
    change = moved(experts.right(found), experts.right(quickly))
    if change is None:
        return Chosen(quick, quick_reader, quickly)
    note(f"computed in {exact.dtype_name}, since {quick.dtype_name} moves {change}")
    return Chosen(exact, reader, found)
