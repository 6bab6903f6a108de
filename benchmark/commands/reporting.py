"""What `taskmark report` does; where nothing changed since, it says again what it said then."""

from __future__ import annotations

import hashlib
import io
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.text import Text

import taskmark
from taskmark.atomic_files import remove_file, write_atomically
from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError
from taskmark.records.frozen import Frozen, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskmark.records.record import Record

_STATE = "report.json"
_SOURCES = ("records", "disentanglement", "negation", "localisation", "catalogue")
_CODE = ("*.py", "*.html", "*.css", "*.js", "*.toml", "*.md")
_LIBRARIES = ("jinja2", "matplotlib", "numpy", "pandas", "pyarrow", "scipy", "statsmodels")


class Report(Frozen):
    """What a report was made from, and what it printed.

    Attributes:
        made_from: hash of records, catalogue, submissions and the code that makes pages of them.
        files: SHA-256 of all that was made, by its path in the folder.
        width: of the terminal that it was printed on, characters.
        table: the table as it was printed, with ANSI codes.
        lines: what followed it.
    """

    made_from: str
    files: dict[str, str]
    width: int
    table: str
    lines: tuple[str, ...]


def report_command(
    out: Path,
    *,
    quiet: bool,
    records: Sequence[Record] | None = None,
    submissions: Path | None = None,
) -> None:
    """Build tables and site, print the table of these records (or all) and the page's path.

    Raises:
        TaskmarkError: if the folder has no records, or one is not to be trusted.
    """
    console = PlainConsole(quiet=quiet)
    check_run(out)
    made_from = _hash_sources(out, submissions)
    report = None if records is not None else _read_report(out, made_from, console)
    if report is None:
        report = _build(out, made_from, console, records=records, submissions=submissions)
    else:
        console.print(Text.from_ansi(report.table))
    for line in report.lines:
        console.say(line)
    console.say(f"Leaderboard: {(out / 'site' / 'index.html').resolve()}")


def check_run(folder: Path) -> None:
    """See that a run has written to a folder.

    Raises:
        TaskmarkError: if there are no records in it.
    """
    if not (folder / "records").is_dir():
        raise TaskmarkError(
            f"There are no records in {str(folder)!r}; "
            "give the folder that a run wrote to with --out."
        )


def _build(
    out: Path,
    made_from: str,
    console: PlainConsole,
    *,
    records: Sequence[Record] | None,
    submissions: Path | None,
) -> Report:
    """Build everything, print the table, and keep what is printed for the next time."""
    from taskmark import reports  # noqa: PLC0415 - imports matplotlib
    from taskmark.records.localisation_record import LocalisationRecord  # noqa: PLC0415
    from taskmark.records.negation_record import NegationRecord  # noqa: PLC0415
    from taskmark.records.record_files import read_kind  # noqa: PLC0415

    remove_file(out / _STATE)
    reports.build(out, submissions=submissions)
    everything = reports.read_records(out)
    shown = everything if records is None else records
    console.show(reports.terminal_table(shown), keep=reports.KEY_COLUMNS)
    lines = [reports.terminal_findings(out)]
    lines += [record.line() for record in read_kind(out, NegationRecord)]
    lines += [record.line() for record in read_kind(out, LocalisationRecord)]
    printed = PlainConsole(
        file=io.StringIO(), width=console.width, force_terminal=True, color_system="standard"
    )
    with printed.capture() as capture:
        printed.show(reports.terminal_table(everything), keep=reports.KEY_COLUMNS)
    report = Report(
        made_from=made_from,
        files=_hash_files(out, _files_made(out)),
        width=console.width,
        table=capture.get().rstrip("\n"),
        lines=tuple(line for line in lines if line),
    )
    write_atomically(out / _STATE, report.model_dump_json(indent=1).encode(), sync=False)
    return report


def _read_report(out: Path, made_from: str, console: PlainConsole) -> Report | None:
    """The last report, if it would come out the same on this terminal."""
    try:
        report = Report.model_validate_json((out / _STATE).read_bytes())
    except (OSError, ValidationError):
        return None
    same = (report.made_from, report.width) == (made_from, console.width)
    if not same or not console.encoding.startswith("utf"):
        return None
    return report if report.files == _hash_files(out, _files_made(out)) else None


def _hash_sources(out: Path, submissions: Path | None) -> str:
    """A hash of all that a report depends on."""
    package = Path(taskmark.__file__).parent
    folders = [package, *(Path(place) for name in ("reports", "suites") for place in _of(name))]
    code = {
        str(number): _hash_files(folder, (p for k in _CODE for p in folder.rglob(k)))
        for number, folder in enumerate(folders)
    }
    sources = {
        name: _hash_files(folder, (path for path in folder.rglob("*") if path.is_file()))
        for name, folder in _folders(out, submissions)
    }
    return digest([code, sources, {name: version(name) for name in _LIBRARIES}])


def _folders(out: Path, submissions: Path | None) -> Iterator[tuple[str, Path]]:
    yield from ((name, out / name) for name in _SOURCES)
    if submissions is not None:
        yield "submissions", submissions


def _of(name: str) -> list[str]:
    spec = find_spec(f"taskmark.{name}")
    return list(spec.submodule_search_locations or ()) if spec else []


def _files_made(out: Path) -> Iterator[Path]:
    """The tables and the site of a folder."""
    yield from (p for p in out.glob("*.*") if p.is_file() and p.name != _STATE)
    yield from (path for path in (out / "site").rglob("*") if path.is_file())


def _hash_files(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }
