"""The estimate of what is left of a run, stage by stage, from what it took so far."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.engine.executor import Event
    from taskmark.engine.job import Job


@dataclass(frozen=True, slots=True)
class Stage:
    """The jobs of one kind: how many there are, how many are done, and the seconds left."""

    kind: str
    n_jobs: int
    n_done: int
    seconds_left: float


class Estimate:
    """What is left of some jobs, done by some workers at once."""

    def __init__(self, jobs: Sequence[Job] = (), workers: int = 1) -> None:
        self._jobs = {job.key: job for job in jobs}
        self._left = dict(self._jobs)
        self._workers = max(1, workers)
        self._times: dict[tuple[str, str], list[float]] = defaultdict(list)

    def end(self, event: Event) -> None:
        """Count a job as ended; only what was done here says something of the speed."""
        self._left.pop(event.job.key, None)
        if event.state == "done":
            self._times[event.job.kind, event.job.pace].append(event.seconds)

    @property
    def n_jobs(self) -> int:
        """How many there are."""
        return len(self._jobs)

    @property
    def n_done(self) -> int:
        """How many are done."""
        return len(self._jobs) - len(self._left)

    def seconds_left(self) -> float:
        """What jobs of the same pace took so far, or are expected to take."""
        return sum(self._expected(job) for job in self._left.values()) / self._workers

    def stages(self) -> list[Stage]:
        """Each kind of job, in the order of the run."""
        return [self._stage(kind) for kind in dict.fromkeys(j.kind for j in self._jobs.values())]

    def _stage(self, kind: str) -> Stage:
        left = [job for job in self._left.values() if job.kind == kind]
        n_jobs = sum(job.kind == kind for job in self._jobs.values())
        seconds = sum(map(self._expected, left)) / self._workers
        return Stage(kind, n_jobs, n_jobs - len(left), seconds)

    def _expected(self, job: Job) -> float:
        times = self._times.get((job.kind, job.pace))
        return statistics.mean(times) if times else 0.0
