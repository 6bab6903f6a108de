"""Progress in a notebook: one cell output that is replaced as jobs end."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import TYPE_CHECKING, Any

from taskmark.engine.progress import duration
from taskmark.engine.time_left import TimeLeft

if TYPE_CHECKING:
    from taskmark.engine.executor import Event
    from taskmark.engine.job import Job

_BETWEEN = 0.25  # seconds between two updates of the page


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookDisplay:
    """A bar, what is running and the time that is left; sentences above it.

    Its methods `begin`, `event` and `say` are those of a watcher.
    """

    def __init__(self) -> None:
        self._time_left = TimeLeft()
        self._running: dict[str, Job] = {}
        self._sentences: list[str] = []
        self._start = time.perf_counter()
        self._shown_at = 0.0
        self._handle: Any = None

    def begin(self, todo: list[Job], n_done: int, workers: int) -> None:
        """Show how much there is to do."""
        self._time_left, self._running = TimeLeft(todo, workers), {}
        done = f"; {n_done} were done before" if n_done else ""
        self.say(f"{len(todo)} jobs to do{done}.")

    def say(self, text: str) -> None:
        """Show a sentence."""
        self._sentences.append(text)
        self._show()

    def event(self, event: Event) -> None:
        """Show that a job started or ended."""
        if event.state == "started":
            self._running[event.job.key] = event.job
        elif event.state != "waiting":
            self._running.pop(event.job.key, None)
            self._time_left.end(event)
        if time.perf_counter() - self._shown_at > _BETWEEN:
            self._show()

    def end(self, how: str) -> None:
        """Show how it ended."""
        self._running = {}
        self.say(f"{how} after {duration(time.perf_counter() - self._start)}.")

    def html(self) -> str:
        """The output as it is now."""
        n_ended, n_jobs = self._time_left.n_ended, self._time_left.n_jobs
        seconds = self._time_left.seconds()
        left = f", about {duration(seconds)} left" if seconds and self._running else ""
        running = " | ".join(job.label for job in self._running.values())
        lines = "".join(f"<div>{escape(text)}</div>" for text in self._sentences)
        return (
            f'{lines}<progress value="{n_ended}" max="{max(n_jobs, 1)}"></progress> '
            f"{n_ended} of {n_jobs}{left} <small>{escape(running)}</small>"
        )

    def _show(self) -> None:
        from IPython.display import HTML, display  # noqa: PLC0415 - a notebook has it

        self._shown_at = time.perf_counter()
        if self._handle is None:
            self._handle = display(HTML(self.html()), display_id=True)
        else:
            self._handle.update(HTML(self.html()))
