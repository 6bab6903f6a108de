"""What the commands for the author of a method do: new, check, submit, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taskmark.commands.name_checks import check_methods
from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.config import RunConfig
    from taskmark.conformance import Finding
    from taskmark.plugins.registry import Found

SUBMISSIONS = Path("submissions")


def new_command(name: str, folder: Path) -> None:
    """Write a new method, and say what to do with it."""
    from taskmark.plugins.new_method import write_method  # noqa: PLC0415

    path = write_method(name, folder)
    console = PlainConsole()
    console.say(f"{path} adds up the task vectors; write your own merge(), and then:")
    console.say(f"  taskmark check {path}")
    console.say(f"  taskmark run --plugin {path} --method {path.stem} --out my-results")


def check_command(
    names: Sequence[str], *, time_limit: float, large: bool, since: str | None
) -> None:
    """Run the conformance tests and print what they found.

    Raises:
        TaskmarkError: if a method does not conform or is unknown.
    """
    console = PlainConsole()
    files = [Path(name) for name in names if name.endswith(".py")]
    check_methods([name for name in names if not name.endswith(".py")], files)
    if since is not None:
        names, files = _changed_methods(since, names, files)
        if not names and not files:
            console.say(f"No method changed since {since}.")
            return
    methods = _found(files, time_limit)
    wanted = [name for name in names if not name.endswith(".py")]
    wanted += [name for name, found in methods.items() if found.origin == "file"]
    failed = []
    for name in wanted or methods:
        if name not in methods:
            raise unknown("method", name, methods)
        findings = _findings(methods[name], time_limit, large=large)
        bad = [finding for finding in findings if not finding.passed]
        console.say(f"{name}: {len(findings) - len(bad)} of {len(findings)} checks passed")
        for finding in bad:
            console.say(f"  {finding.check}: {finding.sentence}", style="red")
        failed += [name] if bad else []
    if failed:
        raise TaskmarkError(
            f"{len(failed)} of {len(wanted or methods)} methods do not conform: "
            f"{', '.join(failed)}; each line above names the cure."
        )


def submit_command(name: str, *, package: str | None, out: Path, to: Path) -> None:
    """Write the folder to commit, and say what to do with it.

    Raises:
        TaskmarkError: if the method is unknown or its records cannot be submitted.
    """
    files = [Path(name)] if name.endswith(".py") else []
    check_methods([] if files else [name], files)
    from taskmark.plugins.submitting import (  # noqa: PLC0415
        SubmittedCode,
        check_source,
        own_records,
        write_submissions,
    )
    from taskmark.records.record_files import read_records  # noqa: PLC0415 - imports torch

    console = PlainConsole()
    methods = _found(files, 300.0)
    wanted = [key for key, found in methods.items() if found.origin == "file"] or [name]
    records = read_records(out)
    sources = []
    for key in wanted:
        if key not in methods:
            raise unknown("method", key, methods)
        sources.append(SubmittedCode(methods[key], package))
        check_source(sources[-1])
    gathered = [own_records(records, source, out) for source in sources]
    for source, own in zip(sources, gathered, strict=True):
        for folder in write_submissions(own, source, to):
            n_rows = len(list((folder / "records").iterdir()))
            console.say(f"{folder}: claimed, {n_rows} rows. Commit it and open a pull request.")


def reproduce_command(folders: Sequence[Path], config: RunConfig) -> None:
    """Run submissions again, write what came of it into them, and exit with 1 on a dispute."""
    from taskmark.engine.progress import Display  # noqa: PLC0415
    from taskmark.engine.run import Watcher, run  # noqa: PLC0415
    from taskmark.gate import comparison_formats  # noqa: PLC0415 - imports torch
    from taskmark.plugins.changes import changed_files, find_touched  # noqa: PLC0415
    from taskmark.plugins.reproducing import compare_with_claim, plan_rerun, reproduction  # noqa: PLC0415
    from taskmark.plugins.submission import read_submission  # noqa: PLC0415
    from taskmark.plugins.submitting import write_state  # noqa: PLC0415

    console = PlainConsole()
    if config.since is not None:
        files = changed_files(config.since, Path())
        folders = [*folders, *find_touched(files, {}, SUBMISSIONS).submissions]
    if not folders:
        console.say("There is nothing to reproduce.")
    read = [(folder, *read_submission(folder)) for folder in folders]
    disputed = False
    for folder, submission, claimed in read:
        plugins = (folder / submission.file,) if submission.file else ()
        asked = plan_rerun(submission, claimed, config)
        with Display(console, quiet=False) as display:
            watcher = Watcher(display.begin, display.event)
            outcome = run(asked.model_copy(update={"plugins": plugins, "since": None}), watcher)
        comparison = compare_with_claim(claimed, outcome.records)
        after = submission.with_reproduction(reproduction(comparison, outcome.records))
        write_state(folder, after)
        if (table := comparison_formats.table(comparison)) is not None:
            console.show(table, keep=("row", "task", "before", "after", "verdict"))
        for difference in after.reproductions[-1].differences:
            console.say(difference)
        console.say(f"{folder}: {after.state}.")
        disputed |= after.state == "disputed"
    if disputed:
        raise SystemExit(1)


def _changed_methods(
    since: str, names: Sequence[str], files: Sequence[Path]
) -> tuple[list[str], list[Path]]:
    from taskmark.plugins.changes import changed_files, changed_methods, find_touched  # noqa: PLC0415
    from taskmark.plugins.submission import read_submission  # noqa: PLC0415

    folders = find_touched(changed_files(since, Path()), {}, SUBMISSIONS).submissions
    submitted = [(folder, read_submission(folder)[0].file) for folder in folders]
    new_files = [folder / file for folder, file in submitted if file is not None]
    return [*names, *changed_methods(since)], [*files, *new_files]


def _found(files: Sequence[Path], time_limit: float) -> dict[str, Found]:
    from taskmark.plugins.stand_ins import Limits, find_isolated  # noqa: PLC0415
    from taskmark.suite.suite_file import load  # noqa: PLC0415

    # The process of a plug-in is elsewhere in the tree of folders.
    resolved = [file.resolve() for file in files]
    return find_isolated(resolved, Limits(time_limit, load("mini").provider))


def _findings(found: Found, time_limit: float, *, large: bool) -> list[Finding]:
    from taskmark.conformance import findings  # noqa: PLC0415
    from taskmark.conformance.isolated_checks import check_isolated  # noqa: PLC0415
    from taskmark.plugins.stand_ins import StandIn  # noqa: PLC0415

    if issubclass(found.method, StandIn):
        return [*check_isolated(found.method, seconds=time_limit, large=large)]
    return [*findings(found.method, large=large)]
