"""Checkpoints: where tuning can go on after an end that nobody planned, to the same result."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.errors import CorruptArtifactError
from taskmark.store.recording import current_account

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark.store.artifacts import Store

CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints; what is tuned in less time has none, and pays nothing."""

CHECKPOINTS = "checkpoints"
"""The kind of artifact that they are, under the key of what is being made, and the step."""


@dataclass(frozen=True, slots=True)
class Progress:
    """All that the rest of a tuning depends on.

    Attributes:
        epoch: the one under way, from 0.
        batch: the next one of it.
        total: the sum of losses over the images that it has seen.
        losses: the means of former epochs.
        tensors: weights, state of the optimiser, and of the generator before the epoch's shuffle.
    """

    epoch: int
    batch: int
    total: float
    losses: tuple[float, ...]
    tensors: dict[str, Tensor]


class Checkpoints:
    """Where one tuning leaves its progress.

    Args:
        store: keeps them.
        key: of what is being made.
        interval: seconds between two.
    """

    def __init__(self, store: Store, key: str, *, interval: float = CHECKPOINT_SECONDS) -> None:
        self._store, self._key, self._interval = store, key, interval
        self._last = time.monotonic()
        self._begin = time.perf_counter(), time.process_time()
        self.seconds = self.cpu_seconds = 0.0  # what former processes spent until the last one

    @property
    def is_due(self) -> bool:
        """Whether it is time for one."""
        return time.monotonic() - self._last >= self._interval

    def load(self) -> Progress | None:
        """The last progress; None if there is none, or if it is damaged."""
        for name in reversed(_of(self._store, self._key)):
            if self._store.has(CHECKPOINTS, name):
                with suppress(CorruptArtifactError):
                    return self._read(name)
        return None

    def _read(self, name: str) -> Progress:
        found = self._store.get(CHECKPOINTS, name)
        current_account().uses.pop(f"{CHECKPOINTS}/{name}", None)  # it will not be kept
        facts = found.facts
        self.seconds, self.cpu_seconds = facts["seconds"], facts["cpu_seconds"]
        return Progress(
            epoch=facts["epoch"],
            batch=facts["batch"],
            total=facts["total"],
            losses=tuple(facts["losses"]),
            tensors={name: tensor.clone() for name, tensor in found.tensors.items()},
        )

    def save(self, progress: Progress) -> None:
        """Keep progress, and then no longer what was kept before."""
        facts = {
            "epoch": progress.epoch,
            "batch": progress.batch,
            "total": progress.total,
            "losses": progress.losses,
            "seconds": self.seconds + time.perf_counter() - self._begin[0],
            "cpu_seconds": self.cpu_seconds + time.process_time() - self._begin[1],
        }
        before = _of(self._store, self._key)
        # A name of its own, since two files cannot be replaced in one step.
        name = f"{self._key}-{progress.epoch:06}-{progress.batch:08}"
        self._store.put(CHECKPOINTS, name, progress.tensors, facts)
        for old in before:
            if old != name:
                self._store.remove(CHECKPOINTS, old)
        self._last = time.monotonic()

    def discard(self) -> None:
        """Remove it, once what it leads to is there."""
        for name in _of(self._store, self._key):
            self._store.remove(CHECKPOINTS, name)


def discard_outlived(store: Store, kind: str) -> None:
    """Remove the checkpoints of artifacts of a kind that are there, after a kill in between."""
    for name in store.keys(CHECKPOINTS):
        if store.has(kind, name.partition("-")[0]):
            store.remove(CHECKPOINTS, name)


def _of(store: Store, key: str) -> list[str]:
    """The names of the checkpoints of one key, from first to last."""
    return [name for name in store.keys(CHECKPOINTS) if name.startswith(f"{key}-")]
