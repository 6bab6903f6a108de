"""What `taskmark run` and `taskmark compare` do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from taskmark.commands.name_checks import check_names
from taskmark.commands.reporting import check_run, report_command
from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from taskmark.config import RunConfig
    from taskmark.gate.compare import RunComparison
    from taskmark.records.record import Record


def run_command(config: RunConfig, *, quiet: bool, json: bool, only_estimate: bool = False) -> None:
    """Run, show progress, build the report, and print the table; or say what that would take."""
    check_names(config)  # before anything that computes is imported
    from taskmark.commands.live_report import LiveReport, build_partial, watch_both  # noqa: PLC0415
    from taskmark.engine.event_lines import EventLines  # noqa: PLC0415
    from taskmark.engine.progress import Display  # noqa: PLC0415
    from taskmark.engine.run import Watcher, estimate, run  # noqa: PLC0415
    from taskmark.plugins.changes import changed_methods  # noqa: PLC0415

    console = PlainConsole(quiet=quiet)
    if config.since is not None and not (config.methods or changed_methods(config.since)):
        console.say(f"No built-in method changed since {config.since}.")
        return
    if only_estimate:
        console.say(estimate(config))
        return
    live = LiveReport(console if not json else PlainConsole(quiet=True), build_partial, config.out)
    if json:
        lines = EventLines(sys.stdout)
        with live:
            outcome = run(config, watch_both(Watcher(lines.begin, lines.event, lines.say), live))
        report_command(config.out, quiet=True, records=outcome.records)
        lines.end(outcome)
        return
    with live, Display(console, quiet=quiet) as display:
        shown = Watcher(display.begin, display.event, display.say)
        outcome = run(config, watch_both(shown, live))
    report_command(config.out, quiet=quiet, records=outcome.records)
    console.say(f"{len(outcome.records)} rows in {outcome.seconds:.0f} s.")


def compare_command(
    before: Path,
    after: Path,
    *,
    accept: str | None,
    changelog: Path,
    outputs: Mapping[str, Path | None],
) -> None:
    """Print what moved against a folder or a baseline, and exit with 1 if anything did.

    Args:
        before: a folder of records, or the JSON file of a baseline.
        after: a folder of records.
        accept: why `after` becomes the baseline `before`; None leaves it as it is.
        changelog: the file that then says why.
        outputs: files to write the comparison to, by "markdown", "junit" and "json".
    """
    for folder in (after, *([] if accept or before.suffix == ".json" else [before])):
        check_run(folder)  # before anything that reads records is imported
    from taskmark.atomic_files import write_atomically  # noqa: PLC0415
    from taskmark.gate import comparison_formats  # noqa: PLC0415
    from taskmark.gate.accepting import accept as make_baseline  # noqa: PLC0415
    from taskmark.reports import read_records  # noqa: PLC0415

    console = PlainConsole()
    records = read_records(after)
    comparison, notes = _compared(before, records) if accept is None else _former(before, records)
    if comparison is not None:
        formats = {
            "markdown": comparison_formats.markdown,
            "junit": comparison_formats.junit,
            "json": comparison_formats.as_json,
        }
        for name, path in outputs.items():
            if path is not None:
                write_atomically(path, formats[name](comparison).encode())
        if (drawn := comparison_formats.table(comparison)) is not None:
            console.show(drawn, keep=("row", "task", "before", "after", "verdict"))
        notes += comparison_formats.sentences(comparison)
    for line in notes:
        console.say(line)
    if accept is not None:
        entry = make_baseline(
            before, records, reason=accept, changelog=changelog, comparison=comparison
        )
        console.say(f"{before} is written; {changelog} says: {entry}")
    elif comparison is not None and not comparison.passed:
        raise SystemExit(1)


def _former(before: Path, records: Sequence[Record]) -> tuple[RunComparison | None, list[str]]:
    """The comparison with a baseline that is about to be rewritten, if it can be read."""
    if not before.is_file():
        return None, []
    try:
        return _compared(before, records)
    except TaskmarkError as error:
        return None, [str(error)]


def _compared(before: Path, records: Sequence[Record]) -> tuple[RunComparison, list[str]]:
    """The comparison, and what to know of how the two sides were made."""
    from taskmark.gate.baseline import baseline_rows, check_same_suite, read_baseline  # noqa: PLC0415
    from taskmark.gate.compare import compare, rows_of  # noqa: PLC0415
    from taskmark.reports import read_records  # noqa: PLC0415
    from taskmark.suite.suite_file import gate_of  # noqa: PLC0415

    is_baseline = before.suffix == ".json"
    if is_baseline:
        baseline = read_baseline(before)
        check_same_suite(before, baseline, records)
        rows, devices = baseline_rows(before, baseline), set(baseline.devices)
    else:
        old = read_records(before)
        rows, devices = rows_of(old), {record.provenance.device for record in old}
    notes = []
    here = {record.provenance.device for record in records}
    if devices != here and devices and here:
        notes.append(f"Made on {', '.join(sorted(devices))} before, {', '.join(sorted(here))} now.")
    if any(record.provenance.dirty for record in records):
        notes.append("The new records were made by a tree with changes that are not committed.")
    return compare(rows, rows_of(records), gate_of, guards_all=is_baseline), notes
