"""A run shows its rows as they come, and leaves a page before it ends."""

from __future__ import annotations

import pytest

from taskmark.commands.live_report import LiveReport, build_partial, watch_both
from taskmark.console import PlainConsole
from taskmark.engine.run import Watcher


class Shown:
    """A console, and the pages that were built: how many records they had, and what they said."""

    def __init__(self, out):
        self.console = PlainConsole(width=200)
        self.pages = []
        self.live = LiveReport(self.console, self._build, out)

    def _build(self, out, notice):
        page = build_partial(out, notice)
        self.pages.append((len(list((out / "records").iterdir())), notice, page.read_text("utf-8")))
        return page


def test_rows_are_printed_as_they_come_and_the_page_after_the_core_is_partial(tiny_run, tmp_path):
    shown = Shown(tmp_path / "out")
    with shown.console.capture() as captured, shown.live:
        outcome = tiny_run(
            *("task_arithmetic", "magmax"),
            out=tmp_path / "out",
            store=tmp_path / "store",
            watcher=watch_both(Watcher(), shown.live),
        )
    lines = captured.get().splitlines()
    assert lines[0].split() == ["backbone", "method,", "recipe", "normalised", "absolute"]
    rows = [line.split()[:2] for line in lines[1:] if line.startswith("plain")]
    assert sorted(rows) == sorted([r.backbone, r.method.name] for r in outcome.records)
    for record in outcome.records:
        line = next(line for line in lines if line.split()[1] == record.method.name)
        assert f"{100 * record.normalised_accuracy:.1f} [" in line
        assert f"{100 * record.accuracy:.1f} [{100 * record.accuracy_low:.1f}, " in line
    [(n_records, notice, page)] = shown.pages
    assert n_records == len(outcome.records) - 1  # magmax is no core method, and comes last
    done = f"{n_records} of {n_records + 1} rows are done"
    assert notice == f"This page is partial: {done}; it is replaced at the end."
    assert notice in page
    assert rows[-1] == ["plain", "magmax"]


def test_an_interrupted_run_leaves_the_page_of_what_it_has(tiny_run, tmp_path):
    def stop(event):
        if event.state == "done" and event.job.kind == "records":
            raise KeyboardInterrupt

    shown = Shown(tmp_path / "out")
    after = Watcher(event=stop)
    both = watch_both(Watcher(), shown.live)

    def event(found):
        both.event(found)
        after.event(found)

    with pytest.raises(KeyboardInterrupt), shown.live:
        tiny_run(
            out=tmp_path / "out",
            store=tmp_path / "store",
            watcher=Watcher(both.begin, event, both.say),
        )
    [(n_records, notice, page)] = shown.pages
    assert n_records == 1
    assert "the run ended after 1 of 5 rows" in notice
    assert notice in page


def test_a_run_with_nothing_to_do_builds_no_page_before_the_end(tiny_run, tmp_path):
    tiny_run(out=tmp_path / "out")
    shown = Shown(tmp_path / "out")
    with shown.live:
        tiny_run(out=tmp_path / "out", watcher=watch_both(Watcher(), shown.live))
    assert shown.pages == []
