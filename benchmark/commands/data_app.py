"""`taskmark data ...`: words on the command line to commands."""

# ruff: noqa: TC001 - typer reads annotations when a command runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taskmark.commands.options import OfSuite

data = typer.Typer(help="Get the data of the real suites.", no_args_is_help=True)

Names = Annotated[
    list[str] | None, typer.Argument(help="Data sets; all that are known unless said.")
]
LockFile = Annotated[
    Path | None, typer.Option("--lock", help="Lock file; TASKMARK_DATA_LOCK or ours otherwise.")
]
Folder = Annotated[
    Path | None, typer.Option("--folder", help="For decoded images; TASKMARK_DATA otherwise.")
]
DecodingWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Processes that decode, one a core unless said; 0 for none.", min=0
    ),
]


@data.command("list")
def data_list(lock: LockFile = None, folder: Folder = None) -> None:
    """Show each data set: where from, its licence and size, and what is missing."""
    from taskmark.commands.data import list_data  # noqa: PLC0415 - imports torch

    list_data(lock, folder)


@data.command("fetch")
def data_fetch(
    names: Names = None,
    suite: OfSuite = None,
    lock: LockFile = None,
    folder: Folder = None,
    workers: DecodingWorkers = None,
) -> None:
    """Fetch data sets from the hub and decode them; goes on where it was interrupted."""
    from taskmark.commands.data import fetch_data  # noqa: PLC0415 - imports torch
    from taskmark.commands.of_suite import data_sets  # noqa: PLC0415

    fetch_data(data_sets(suite, names or []), lock, folder, workers)


@data.command("verify")
def data_verify(
    names: Names = None, suite: OfSuite = None, lock: LockFile = None, folder: Folder = None
) -> None:
    """Read every image, and list those of test that stand in train too; exit 1 if damaged."""
    from taskmark.commands.data import verify_data  # noqa: PLC0415 - imports torch
    from taskmark.commands.of_suite import data_sets  # noqa: PLC0415

    verify_data(data_sets(suite, names or []), lock, folder)


@data.command("lock")
def data_lock(
    names: Names = None,
    suite: OfSuite = None,
    lock: LockFile = None,
    folder: Folder = None,
    workers: DecodingWorkers = None,
    revision: Annotated[
        str | None, typer.Option(help="A full commit hash; the newest commit otherwise.")
    ] = None,
) -> None:
    """Resolve data sets: fetch and decode them, and write commit and hashes to the lock file."""
    from taskmark.commands.data import lock_data  # noqa: PLC0415 - imports torch
    from taskmark.commands.of_suite import data_sets  # noqa: PLC0415

    lock_data(data_sets(suite, names or []), lock, folder, workers, revision)
