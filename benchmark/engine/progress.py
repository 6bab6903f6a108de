"""Progress on the terminal: what is running, how long it took, what is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from taskmark.engine.time_left import TimeLeft

if TYPE_CHECKING:
    from rich.progress import TaskID

    from taskmark.console import PlainConsole
    from taskmark.engine.executor import Event
    from taskmark.engine.job import Job


class Display:
    """A bar for each kind of job on a terminal, a line for each job that ended elsewhere.

    Use it as a context manager around a run, with `begin`, `event` and `say` as its watcher.
    """

    def __init__(self, console: PlainConsole, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._time_left = TimeLeft()
        self._running: dict[str, Job] = {}
        self._start = time.perf_counter()
        self._progress = Progress(
            TextColumn("{task.fields[kind]}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            TextColumn("{task.description}", style="dim", markup=False),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._whole = self._progress.add_task("", total=None, kind="all", left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, todo: list[Job], n_done: int, workers: int) -> None:
        """Print how much there is to do."""
        self._time_left, self._running = TimeLeft(todo, workers), {}
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        self._bars = {
            of_kind.kind: self._progress.add_task("", kind=of_kind.kind, left="")
            for of_kind in self._time_left.kinds()
        }
        self._update()
        done = f", {n_done} were done before" if n_done else ""
        processes = f" in {workers} processes" if todo and workers > 1 else ""
        self.say(f"{len(todo)} jobs to do{processes}{done}.")

    def say(self, text: str) -> None:
        """Print a sentence."""
        if not self._quiet:
            self._console.say(text)

    def event(self, event: Event) -> None:
        """Show that a job started or ended."""
        if event.state == "started":
            self._running[event.job.key] = event.job
        elif event.state == "waiting":
            self._print_line(f"waiting for {event.job.label}: {event.result} does it")
        else:
            self._running.pop(event.job.key, None)
            self._time_left.end(event)
            self._print_line(self._line(event))
        self._update()

    def seconds_left(self) -> float | None:
        """How long everything that is left takes; None until it can be estimated."""
        return self._time_left.seconds()

    def _update(self) -> None:
        self._progress.update(
            self._whole,
            total=self._time_left.n_jobs,
            completed=self._time_left.n_ended,
            description=" | ".join(job.label for job in self._running.values()),
            left=_about(self._time_left.seconds()),
        )
        for of_kind in self._time_left.kinds():
            self._progress.update(
                self._bars[of_kind.kind],
                total=of_kind.n_jobs,
                completed=of_kind.n_ended,
                left=_about(of_kind.seconds),
            )

    def _line(self, event: Event) -> str:
        how = {
            "died": "its process was ended",
            "found": "another process did it",
        }.get(event.state, f"{event.seconds:.1f} s")
        parts = [f"{duration(time.perf_counter() - self._start)} so far"]
        parts += filter(None, [_about(self._time_left.seconds())])
        counted = f"[{self._time_left.n_ended}/{self._time_left.n_jobs}]"
        return f"{counted} {event.job.label}: {how} ({', '.join(parts)})"

    def _print_line(self, line: str) -> None:
        if not self._console.is_terminal:
            self.say(line)


def duration(seconds: float) -> str:
    """Seconds for people: "12 s", "3 min 5 s", "2 h 10 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _about(seconds: float | None) -> str:
    return f"about {duration(seconds)} left" if seconds else ""
