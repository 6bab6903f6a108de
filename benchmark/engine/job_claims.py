"""Claims: a job is done by one process at a time, and by none once its artifact is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from taskmark.engine.job import Job
    from taskmark.engine.stage_store import StageStore
    from taskmark.store.locks import ArtifactLocks


class StoreClaims:
    """Claims on the artifacts of a store, held by locks."""

    def __init__(self, store: StageStore, locks: ArtifactLocks) -> None:
        self._store, self._locks = store, locks

    def take(self, job: Job) -> Literal["mine", "made", "busy"]:
        """Claim a job, unless another process made it or makes it now.

        Raises:
            TaskmarkError: if the store cannot be written.
        """
        if self._store.has(job.stage):
            return "made"
        if not self._locks.take(_name(job)):
            return "busy"
        if self._store.has(job.stage):  # between the two looks
            self._locks.release(_name(job))
            return "made"
        return "mine"

    def release(self, job: Job) -> None:
        """Give a claim back."""
        self._locks.release(_name(job))

    def holder(self, _job: Job) -> str:
        """Who makes it now, for people."""
        return "another process"


def _name(job: Job) -> str:
    return f"{job.kind}-{job.key}"
