"""What the commands do: from words on the command line to a run, a report, a list, a check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taskmark.errors import TaskmarkError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskmark.record import Record


def run_command(
    *,
    suite: str,
    methods: Sequence[str],
    backbones: Sequence[str],
    recipes: Sequence[str],
    tasks: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    plugins: Sequence[Path],
    device: str,
    workers: int | None,
    store: Path | None,
    time_limit: float,
    racing: bool,
    negation: bool,
    localisation: bool,
    quiet: bool,
) -> None:
    """Run, show progress, build the report, and print the table."""
    from taskmark.plan import Selection  # noqa: PLC0415 - imports torch
    from taskmark.progress import Display  # noqa: PLC0415
    from taskmark.registry import MethodChoice  # noqa: PLC0415
    from taskmark.run import Options, Watcher, run  # noqa: PLC0415
    from taskmark.suite import load  # noqa: PLC0415

    console = Console(quiet=quiet)
    chosen = tuple(load(suite).backbones) if "all" in backbones else tuple(backbones)
    options = Options(
        suite=suite,
        out=out,
        selection=Selection(
            backbones=chosen,
            methods=tuple(MethodChoice.parse(text) for text in methods),
            recipes=tuple(recipes),
            seeds=tuple(seeds),
            negation=negation,
            localisation=localisation,
        ),
        tasks=tuple(tasks),
        device=device,
        plugins=tuple(plugins),
        workers=workers,
        store=store,
        time_limit=time_limit,
        racing=racing,
    )
    with Display(console, quiet=quiet) as display:
        outcome = run(options, Watcher(display.begin, display.event))
    report_command(out, quiet=quiet, records=outcome.records)
    console.print(f"{len(outcome.records)} rows in {outcome.seconds:.0f} s.", highlight=False)


def report_command(out: Path, *, quiet: bool, records: Sequence[Record] | None = None) -> None:
    """Build tables and site, print the table of these records (or all) and the page's path."""
    from taskmark import (  # noqa: PLC0415 - imports matplotlib
        localisation_summary,
        negation_summary,
        reports,
    )

    console = Console(quiet=quiet)
    _check_run(out)
    page = reports.build(out)
    shown = records if records is not None else reports.read_records(out)
    console.print(reports.terminal_table(shown))
    console.print(reports.terminal_findings(out))
    lines = [
        *map(negation_summary.line, negation_summary.read_negation(out)),
        *map(localisation_summary.line, localisation_summary.read_localisation(out)),
    ]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    console.print(f"Leaderboard: {page.resolve()}", soft_wrap=True, markup=False)


def list_command(suite_name: str, plugins: Sequence[Path]) -> None:
    """Print what a run can name."""
    from taskmark.recipes import RECIPES  # noqa: PLC0415
    from taskmark.registry import find  # noqa: PLC0415 - imports torch
    from taskmark.suite import known, load, read  # noqa: PLC0415

    console = Console()
    suite = load(suite_name)
    suites = {name: read(path) for name, path in known().items() if "@" in name}
    console.print(_table("suite", ((name, found.summary) for name, found in suites.items())))
    title = f"of {suite.name} {suite.version}"
    console.print(_table(f"task {title}", ((n, t.summary) for n, t in suite.tasks.items())))
    console.print(
        _table(
            f"backbone {title}",
            ((n, f"{b.summary} ({b.heads} heads)") for n, b in suite.backbones.items()),
        )
    )
    console.print(_table("recipe", ((r.name, r.summary) for r in RECIPES.values())))
    rows = (
        (name, f"{found.method.summary()} [{found.method.track}, {found.method.role}]")
        for name, found in sorted(find(plugins).items())
    )
    console.print(_table("method", rows))


def check_command(names: Sequence[str]) -> None:
    """Run the conformance tests and print what they found.

    Raises:
        TaskmarkError: if a method does not conform or is unknown.
    """
    from taskmark.conformance import check_method  # noqa: PLC0415 - imports torch
    from taskmark.registry import find  # noqa: PLC0415

    console = Console()
    plugins = [Path(name) for name in names if name.endswith(".py")]
    methods = find(plugins)
    wanted = [name for name in names if not name.endswith(".py")]
    wanted += [name for name, found in methods.items() if found.origin == "file"]
    failed = []
    for name in wanted or methods:
        if name not in methods:
            raise unknown("method", name, methods)
        findings = check_method(methods[name].method)
        bad = [finding for finding in findings if not finding.passed]
        console.print(f"{name}: {len(findings) - len(bad)} of {len(findings)} checks passed")
        for finding in bad:
            console.print(f"  {finding.check}: {finding.sentence}", style="red", markup=False)
        failed += [name] if bad else []
    if failed:
        raise TaskmarkError(
            f"{len(failed)} of {len(wanted or methods)} methods do not conform: "
            f"{', '.join(failed)}; each line above names the cure."
        )


def compare_command(before: Path, after: Path) -> None:
    """Print what moved between two folders, and exit with 1 if anything did."""
    from taskmark.compare import compare  # noqa: PLC0415
    from taskmark.reports import read_records  # noqa: PLC0415

    console = Console()
    for folder in (before, after):
        _check_run(folder)
    result = compare(read_records(before), read_records(after))
    table = Table("row", "task", "before", "after", "lost", "gained", "p (Holm)")
    for change in result.changes:
        if change.lost or change.gained:
            table.add_row(
                _words(change.row),
                change.task,
                f"{change.before:.4f}",
                f"{change.after:.4f}",
                str(change.lost),
                str(change.gained),
                f"{change.p_value:.2g}{' *' if change.significant else ''}",
            )
    if table.row_count:
        console.print(table)
    for state, keys in (
        ("missing now", result.missing),
        ("not ok any more", result.broken),
        ("new", result.new),
    ):
        for key in keys:
            console.print(f"{state}: {_words(key)}", markup=False)
    moved = sum(change.significant for change in result.changes)
    console.print(
        f"{len(result.changes)} accuracies compared, {moved} moved beyond chance, "
        f"{len(result.missing)} rows missing, {len(result.broken)} broken."
    )
    if result.moved:
        raise SystemExit(1)


def _check_run(folder: Path) -> None:
    if not (folder / "records").is_dir():
        raise TaskmarkError(
            f"There are no records in {str(folder)!r}; "
            "give the folder that a run wrote to with --out."
        )


def _words(row: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in row)


def _table(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(title, "", box=None, pad_edge=False, title_justify="left")
    for name, text in rows:
        table.add_row(Text(name), Text(text))  # Text, so that brackets are not read as markup
    return table
