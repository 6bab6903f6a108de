"""The command line of `taskmark backbones`."""

# ruff: noqa: TC001 - typer reads annotations when a command runs

from __future__ import annotations

from typing import Annotated

import typer

from taskmark.commands.groups import Group
from taskmark.commands.options import OfSuite

backbones = typer.Typer(
    cls=Group,
    help="Get the weights of the real suites. Put your own files, such as "
    "clip-b-32-openai.safetensors, in the folder that TASKMARK_BACKBONES names.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Backbones, such as clip-b-32-openai; by default all."
    ),
]


@backbones.command("list")
def backbones_list() -> None:
    """List the source, licence and state of each backbone."""
    from taskmark.commands.backbone_commands import list_backbones  # noqa: PLC0415 - imports torch

    list_backbones()


@backbones.command("fetch")
def backbones_fetch(names: Names = None, suite: OfSuite = None) -> None:
    """Fetch weights from the hub at their locked commits, and check them."""
    from taskmark.commands.backbone_commands import fetch_backbones  # noqa: PLC0415 - imports torch
    from taskmark.commands.suite_downloads import weights  # noqa: PLC0415

    fetch_backbones(weights(suite, names or []))


@backbones.command("verify")
def backbones_verify(names: Names = None, suite: OfSuite = None) -> None:
    """Check local weights against the lock and their architecture; exit 1 if bad."""
    from taskmark.commands.backbone_commands import verify_backbones  # noqa: PLC0415 - imports torch
    from taskmark.commands.suite_downloads import weights  # noqa: PLC0415

    verify_backbones(weights(suite, names or []))


@backbones.command("lock")
def backbones_lock(
    names: Names = None,
    suite: OfSuite = None,
    revision: Annotated[
        str | None,
        typer.Option(metavar="COMMIT", help="A full commit hash; by default the newest."),
    ] = None,
) -> None:
    """Resolve backbones: fetch their weights, and write commit and hash to the lock file."""
    from taskmark.commands.backbone_commands import lock_backbones  # noqa: PLC0415 - imports torch
    from taskmark.commands.suite_downloads import weights  # noqa: PLC0415

    lock_backbones(weights(suite, names or []), revision)
