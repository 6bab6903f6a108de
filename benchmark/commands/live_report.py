"""What a run shows before it ends: its rows as they come, and a page of the first backbone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from taskmark.engine.plan import is_core
from taskmark.engine.run import Watcher
from taskmark.errors import TaskmarkError
from taskmark.records.record import Record
from taskmark.stages.joint_training import MeasureJointRow
from taskmark.stages.row import MeasureRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from taskmark.console import PlainConsole
    from taskmark.engine.executor import Event
    from taskmark.engine.job import Job


_Rows = MeasureRow | MeasureJointRow


class LiveReport:
    """Prints each row that ends, and builds the page once the core rows of a backbone are there.

    Use it as a context manager around a run: one that does not end leaves the page of what it has.
    `begin` and `event` are its watcher.
    """

    def __init__(
        self, console: PlainConsole, build: Callable[[Path, str], Path], out: Path
    ) -> None:
        """Take where to print, what builds a page that says that it is partial, and the folder."""
        self._console, self._build, self._out = console, build, out
        self._n_rows = self._n_ended = 0
        self._core: dict[str, set[str]] = {}
        self._records: list[Record] = []
        self._early = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._records:
            # The run is over: what made it end is what the user should read.
            with contextlib.suppress(TaskmarkError):
                self._page(
                    f"the run ended after {self._n_ended} of {self._n_rows} rows; go on with it"
                )

    def begin(self, todo: Sequence[Job], _n_done: int, _workers: int) -> None:
        """Look at which rows there are to make."""
        rows = [(job.key, job.stage) for job in todo if isinstance(job.stage, _Rows)]
        self._n_rows, self._n_ended, self._core = len(rows), 0, {}
        for key, row in rows:
            if isinstance(row, MeasureRow) and is_core(row.method.name, row.method.facts().role):
                self._core.setdefault(row.experts.backbone, set()).add(key)

    def event(self, event: Event) -> None:
        """Show a row that ended."""
        row = event.job.stage
        if not isinstance(row, _Rows) or event.state in (
            "started",
            "waiting",
        ):
            return
        self._n_ended += 1
        if event.result:
            self._print(Record.model_validate_json(event.result))
        of_backbone = self._core.get(row.experts.backbone)
        if not of_backbone:
            return
        of_backbone.discard(event.job.key)
        if not of_backbone and not self._early and self._n_ended < self._n_rows:
            self._early = True
            try:
                self._page(
                    f"{self._n_ended} of {self._n_rows} rows are done; it is replaced at the end"
                )
            except TaskmarkError as error:  # the rows themselves are safe
                self._console.say(str(error))

    def _print(self, record: Record) -> None:
        from taskmark.reports.terminal import LINE_HEADER, row_line  # noqa: PLC0415 - imports pandas

        if not self._records:
            self._console.say(LINE_HEADER, style="bold")
        self._records.append(record)
        self._console.say(row_line(record, self._records))

    def _page(self, state: str) -> None:
        page = self._build(self._out, f"This page is partial: {state}.")
        self._console.say(f"Partial leaderboard: {page.resolve()}")


def build_partial(out: Path, notice: str) -> Path:
    """Build the page of what is there, with a notice on every page of it."""
    from taskmark import reports  # noqa: PLC0415 - imports matplotlib

    return reports.build(out, notice=notice)


def watch_both(first: Watcher, live: LiveReport) -> Watcher:
    """A watcher that hands each event to another one, and then to a live report."""

    def begin(todo: list[Job], n_done: int, workers: int) -> None:
        first.begin(todo, n_done, workers)
        live.begin(todo, n_done, workers)

    def event(found: Event) -> None:
        first.event(found)
        live.event(found)

    return Watcher(begin, event, first.say)
