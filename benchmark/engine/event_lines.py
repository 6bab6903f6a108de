"""Progress for machines: one JSON object per line."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TextIO

from taskmark.engine.time_left import TimeLeft

if TYPE_CHECKING:
    from taskmark.engine.executor import Event
    from taskmark.engine.job import Job
    from taskmark.engine.run import Outcome


class EventLines:
    """Writes the events of a run; `begin`, `event` and `say` are its watcher, `end` comes last.

    Every line has `event` and `seconds`, the wall clock since the start:

    - "said": `text`, what there is to know before the run begins
    - "begin" (again where a damaged artifact is made anew): `jobs`, `done_before`, `workers`
    - "started", "done", "died", "found", "waiting": `kind`, `key`, `label`; with "done",
      `job_seconds`; with "waiting", `holder`; where a job ended, `left`: the seconds that remain by
      kind of job, null until one of that kind was timed
    - "end": the number of `records` and of those that `failed`
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._time_left = TimeLeft()
        self._start = time.perf_counter()

    def begin(self, todo: list[Job], n_done: int, workers: int) -> None:
        """Write how much there is to do."""
        self._time_left = TimeLeft(todo, workers)
        self._write("begin", jobs=len(todo), done_before=n_done, workers=workers)

    def say(self, text: str) -> None:
        """Write a sentence."""
        self._write("said", text=text)

    def event(self, event: Event) -> None:
        """Write that a job started or ended."""
        job = event.job
        more: dict[str, Any] = {}
        if event.state == "waiting":
            more = {"holder": event.result}
        elif event.state != "started":
            self._time_left.end(event)
            more = {"left": {k.kind: k.seconds for k in self._time_left.kinds() if k.n_left}}
        if event.state == "done":
            more["job_seconds"] = event.seconds
        self._write(event.state, kind=job.kind, key=job.key, label=job.label, **more)

    def end(self, outcome: Outcome) -> None:
        """Write what came out."""
        failed = sum(record.state == "failed" for record in outcome.records)
        self._write("end", records=len(outcome.records), failed=failed)

    def _write(self, event: str, **facts: Any) -> None:
        seconds = round(time.perf_counter() - self._start, 3)
        self._stream.write(json.dumps({"event": event, "seconds": seconds, **facts}) + "\n")
        self._stream.flush()
