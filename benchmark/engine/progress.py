"""Progress on the terminal: what is running, how long it took, what is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from taskmark.engine.estimate import Estimate

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from taskmark.engine.executor import Event
    from taskmark.engine.job import Job


class Display:
    """A bar for each stage where there is a terminal, a line for each finished job elsewhere.

    Use it as a context manager around a run, with `begin` and `event` as its watcher.
    """

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._estimate = Estimate()
        self._running: dict[str, Job] = {}
        self._start = time.perf_counter()
        self._progress = Progress(
            TextColumn("{task.fields[stage]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.description}", style="dim"),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._whole = self._progress.add_task("", total=None, stage="all", left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, todo: list[Job], n_done: int, workers: int) -> None:
        """Say how much there is to do."""
        self._estimate, self._running = Estimate(todo, workers), {}
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        self._bars = {
            stage.kind: self._progress.add_task("", stage=stage.kind, left="")
            for stage in self._estimate.stages()
        }
        self._update()
        if not self._quiet:
            done = f", {n_done} were done before" if n_done else ""
            processes = f" in {workers} processes" if todo and workers > 1 else ""
            self._console.print(f"{len(todo)} jobs to do{processes}{done}.")

    def say(self, text: str) -> None:
        """Say what there is to know before it begins."""
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def event(self, event: Event) -> None:
        """Show that a job started or ended."""
        if event.state == "started":
            self._running[event.job.key] = event.job
        elif event.state == "waiting":
            self._say(f"waiting for {event.job.label}: {event.result} does it")
        else:
            self._running.pop(event.job.key, None)
            self._estimate.end(event)
            self._say(self._line(event))
        self._update()

    def seconds_left(self) -> float:
        """The estimate of the whole."""
        return self._estimate.seconds_left()

    def _update(self) -> None:
        estimate = self._estimate
        self._progress.update(
            self._whole,
            total=estimate.n_jobs,
            completed=estimate.n_done,
            description=" | ".join(job.label for job in self._running.values()),
            left=_about(estimate.seconds_left()),
        )
        for stage in estimate.stages():
            self._progress.update(
                self._bars[stage.kind],
                total=stage.n_jobs,
                completed=stage.n_done,
                left=_about(stage.seconds_left),
            )

    def _line(self, event: Event) -> str:
        estimate = self._estimate
        left = [stage for stage in estimate.stages() if stage.n_done < stage.n_jobs]
        how = {
            "died": "its process was ended",
            "found": "another process did it",
        }.get(event.state, f"{event.seconds:.1f} s")
        so_far = f"{duration(time.perf_counter() - self._start)} so far"
        rest = f", {_about(estimate.seconds_left())}" if left else ""
        stages = ", ".join(f"{s.kind} {duration(s.seconds_left)}" for s in left)
        return (
            f"[{estimate.n_done}/{estimate.n_jobs}] {event.job.label}: {how} ({so_far}{rest}"
            f"{f': {stages}' if len(left) > 1 else ''})"
        )

    def _say(self, line: str) -> None:
        if not self._quiet and not self._console.is_terminal:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds for people: "12 s", "3 min 5 s", "2 h 10 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _about(seconds: float) -> str:
    return f"about {duration(seconds)} left" if seconds > 0 else ""
