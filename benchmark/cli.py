"""The command line: `taskmark run | report | list | check | compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from taskmark.errors import TaskmarkError

app = typer.Typer(
    help="A benchmark of model editing: what happens to a model under arithmetic on its weights.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_INTERRUPTED = 130  # what typer makes of Ctrl-C

Suite = Annotated[str, typer.Option(help="Suite: name, name@version, or a TOML file.")]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", help="Method, e.g. ties or 'ties[density=0.1]'; may be repeated."),
]
Backbones = Annotated[
    list[str] | None, typer.Option("--backbone", help="Backbone, or all; may be repeated.")
]
Recipes = Annotated[
    list[str] | None,
    typer.Option("--recipe", help="standard, tangent or post_hoc; may be repeated."),
]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", help="Only these tasks; may be repeated.")
]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", help="Seed, 0 unless said; may be repeated.", min=0, max=2**63 - 1),
]
Out = Annotated[Path, typer.Option(help="Folder for records, tables and the site.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="File with a method; may be repeated.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
Workers = Annotated[
    int | None, typer.Option(help="Processes; one a core unless said, 0 for none.", min=0)
]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", help="Folder of artifacts; TASKMARK_STORE otherwise.")
]
Racing = Annotated[
    bool, typer.Option("--racing", help="Stop early at scales that cannot win (5 % error).")
]
Negation = Annotated[
    bool, typer.Option("--negation", help="Also negate each task, where the suite says how.")
]
Localisation = Annotated[
    bool, typer.Option("--localisation", help="Also tell tasks apart by the NTK of each backbone.")
]
TimeLimit = Annotated[
    float, typer.Option(help="Seconds that one edit of a plug-in may take.", min=1)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


@app.command()
def run(
    suite: Suite = "mini",
    method: Methods = None,
    backbone: Backbones = None,
    recipe: Recipes = None,
    task: Tasks = None,
    seed: Seeds = None,
    out: Out = Path("results"),
    plugin: Plugins = None,
    device: Device = "auto",
    workers: Workers = None,
    store: StoreFolder = None,
    time_limit: TimeLimit = 3600,
    *,
    racing: Racing = False,
    negation: Negation = False,
    localisation: Localisation = False,
    quiet: Quiet = False,
) -> None:
    """Run methods on a suite and build the leaderboard."""
    from taskmark.commands import run_command  # noqa: PLC0415 - imports torch

    run_command(
        suite=suite,
        methods=method or [],
        backbones=backbone or [],
        recipes=recipe or [],
        tasks=task or [],
        seeds=seed or [0],
        out=out,
        plugins=plugin or [],
        device=device,
        workers=workers,
        store=store,
        time_limit=time_limit,
        racing=racing,
        negation=negation,
        localisation=localisation,
        quiet=quiet,
    )


@app.command()
def report(out: Out = Path("results"), *, quiet: Quiet = False) -> None:
    """Build tables and the leaderboard again from the records in a folder."""
    from taskmark.commands import report_command  # noqa: PLC0415

    report_command(out, quiet=quiet)


@app.command("list")
def list_all(suite: Suite = "mini", plugin: Plugins = None) -> None:
    """List suites, and the tasks, backbones, recipes and methods that a run can name."""
    from taskmark.commands import list_command  # noqa: PLC0415

    list_command(suite, plugin or [])


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Methods or plug-in files; all built-in methods unless said."),
    ] = None,
) -> None:
    """Run the public conformance tests on methods."""
    from taskmark.commands import check_command  # noqa: PLC0415

    check_command(names or [])


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="Folder of a former run.")],
    after: Annotated[Path, typer.Argument(help="Folder of a later run.")],
) -> None:
    """Compare two folders of records image by image; exit 1 if an accuracy moved."""
    from taskmark.commands import compare_command  # noqa: PLC0415

    compare_command(before, after)


def main() -> None:
    """Run the command line; what a user can mend is said in one sentence, with exit code 2."""
    try:
        app()
    except TaskmarkError as error:
        sentence = " ".join(str(error).split())
        print(f"taskmark: {sentence}", file=sys.stderr)  # noqa: T201 - the last word to the user
        raise SystemExit(2) from None
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            print("taskmark: interrupted; the same command goes on from here.", file=sys.stderr)  # noqa: T201
        raise
