"""How long a run still takes, by kind of job, as far as jobs of that kind were timed in it."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.engine.executor import Event
    from taskmark.engine.job import Job


@dataclass(frozen=True, slots=True)
class KindLeft:
    """The jobs of one kind: how many there are, how many have ended, and the seconds left.

    `seconds` is None while jobs of the kind are left and none was timed.
    """

    kind: str
    n_jobs: int
    n_ended: int
    seconds: float | None

    @property
    def n_left(self) -> int:
        """How many jobs have not ended."""
        return self.n_jobs - self.n_ended


class TimeLeft:
    """What is left of some jobs that some workers do at once."""

    def __init__(self, jobs: Sequence[Job] = (), workers: int = 1) -> None:
        self._kinds = Counter(job.kind for job in jobs)
        self._left = {job.key: job.kind for job in jobs}
        self._workers = max(1, workers)
        self._times: dict[str, list[float]] = defaultdict(list)

    def end(self, event: Event) -> None:
        """Count a job as ended; only one that was done here tells how long its kind takes."""
        self._left.pop(event.job.key, None)
        if event.state == "done":
            self._times[event.job.kind].append(event.seconds)

    @property
    def n_jobs(self) -> int:
        """How many jobs there are."""
        return self._kinds.total()

    @property
    def n_ended(self) -> int:
        """How many jobs have ended."""
        return self.n_jobs - len(self._left)

    def seconds(self) -> float | None:
        """How long everything takes; None while a kind is left of which no job was timed."""
        return self._seconds(Counter(self._left.values()))

    def kinds(self) -> list[KindLeft]:
        """Each kind of job, in the order of the run."""
        left = Counter(self._left.values())
        return [
            KindLeft(kind, n_jobs, n_jobs - left[kind], self._seconds({kind: left[kind]}))
            for kind, n_jobs in self._kinds.items()
        ]

    def _seconds(self, left: dict[str, int]) -> float | None:
        left = {kind: n for kind, n in left.items() if n}
        if not left.keys() <= self._times.keys():
            return None
        each = {kind: statistics.mean(self._times[kind]) for kind in left}
        # No job is shared by several workers, so that the longest bounds the time from below.
        spread = sum(n * each[kind] for kind, n in left.items()) / self._workers
        return max(spread, *each.values()) if each else 0.0
