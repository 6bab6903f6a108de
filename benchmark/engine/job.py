"""A job: one stage to be made, once the stages that it needs are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.engine.stage import Stage
    from taskmark.engine.stage_store import StageStore


@dataclass(frozen=True, slots=True)
class Job:
    """A stage with its key in the store.

    Attributes:
        key: of the artifact.
        stage: what makes it.
        needs: keys of the jobs that come first.
    """

    key: str
    stage: Stage
    needs: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The name of the stage."""
        return self.stage.name

    @property
    def label(self) -> str:
        """What a person reads while it runs."""
        return self.stage.label


def jobs_of(stages: Iterable[Stage], store: StageStore) -> list[Job]:
    """The jobs of stages, in their order."""
    return [
        Job(store.key(stage), stage, tuple(store.key(need) for need in stage.needs))
        for stage in stages
    ]


def missing_jobs(jobs: Iterable[Job], asked: Iterable[str], store: StageStore) -> list[Job]:
    """The jobs whose artifacts are not there and are needed for what was asked, in their order.

    What nobody will read need not be there: the walk goes back from what was asked alone.
    """
    by_key = {job.key: job for job in jobs}
    wanted, missing = list(asked), set[str]()
    while wanted:
        job = by_key[wanted.pop()]
        if job.key not in missing and not store.has(job.stage):
            missing.add(job.key)
            wanted += job.needs
    return [job for job in by_key.values() if job.key in missing]
