"""The command line of `taskmark data`."""

# ruff: noqa: TC001 - typer reads annotations when a command runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskmark.commands.groups import Group
from taskmark.commands.options import OfSuite

data = typer.Typer(cls=Group, help="Get the data of the real suites.", no_args_is_help=True)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Data sets; by default all known ones."),
]
LockFile = Annotated[
    Path | None,
    typer.Option(
        "--lock",
        metavar="FILE",
        help="Lock file; by default TASKMARK_DATA_LOCK, or the built-in one.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="FOLDER",
        help="Folder of decoded images; by default TASKMARK_DATA, or your cache.",
    ),
]
DecodingWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Processes that decode; by default one per core; 0: only this one.",
        min=0,
    ),
]


@data.command("list")
def data_list(lock: LockFile = None, folder: Folder = None) -> None:
    """List the source, licence, size and state of each data set."""
    from taskmark.commands.data_commands import list_data  # noqa: PLC0415 - imports torch

    list_data(lock, folder)


@data.command("fetch")
def data_fetch(
    names: Names = None,
    suite: OfSuite = None,
    lock: LockFile = None,
    folder: Folder = None,
    workers: DecodingWorkers = None,
) -> None:
    """Fetch data sets from the hub and decode them; resume after an interrupt."""
    from taskmark.commands.data_commands import fetch_data  # noqa: PLC0415 - imports torch
    from taskmark.commands.suite_downloads import data_sets  # noqa: PLC0415

    fetch_data(data_sets(suite, names or []), lock, folder, workers)


@data.command("verify")
def data_verify(
    names: Names = None, suite: OfSuite = None, lock: LockFile = None, folder: Folder = None
) -> None:
    """Check every image, and list test images that are in train too; exit 1 if damaged."""
    from taskmark.commands.data_commands import verify_data  # noqa: PLC0415 - imports torch
    from taskmark.commands.suite_downloads import data_sets  # noqa: PLC0415

    verify_data(data_sets(suite, names or []), lock, folder)


@data.command("lock")
def data_lock(
    names: Names = None,
    suite: OfSuite = None,
    lock: LockFile = None,
    folder: Folder = None,
    workers: DecodingWorkers = None,
    revision: Annotated[
        str | None,
        typer.Option(metavar="COMMIT", help="A full commit hash; by default the newest."),
    ] = None,
) -> None:
    """Resolve data sets: fetch and decode them, and write commit and hashes to the lock file."""
    from taskmark.commands.data_commands import lock_data  # noqa: PLC0415 - imports torch
    from taskmark.commands.suite_downloads import data_sets  # noqa: PLC0415

    lock_data(data_sets(suite, names or []), lock, folder, workers, revision)
