"""A job: one artifact to be made by one call, once the jobs that it needs are done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmark.store.artifacts import Store

# The stages that keep test data apart make two artifacts under one key.
_MADE_BESIDE = {"data": ("data_test",), "inputs": ("inputs_test",)}


@dataclass(frozen=True, slots=True)
class Job:
    """One artifact to make.

    Attributes:
        kind: the kind of artifact in the store, under `key`.
        key: the hash of everything that makes it.
        label: what a person is told while it runs.
        function: called as `function(context, key, **arguments)` in a worker.
        arguments: plain values.
        needs: keys of the jobs that come first.
        pace: jobs of the same kind and pace take about as long; for the estimate alone.
    """

    kind: str
    key: str
    label: str
    function: Callable[..., str | None]
    arguments: dict[str, Any]
    needs: tuple[str, ...] = ()
    pace: str = ""

    def is_done(self, store: Store) -> bool:
        """Whether all that it makes is in the store."""
        kinds = (self.kind, *_MADE_BESIDE.get(self.kind, ()))
        return all(store.has(kind, self.key) for kind in kinds)
