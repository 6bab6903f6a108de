"""The command line: `taskmark run | report | list | show | check | compare` and more."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from taskmark.commands import completion
from taskmark.commands.backbones_app import backbones
from taskmark.commands.data_app import data
from taskmark.commands.groups import Group, GroupOfMethods
from taskmark.commands.options import Estimate, Json, Quiet, Submissions, config_of, takes
from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError

app = typer.Typer(
    cls=Group,
    help="A benchmark of model editing: what happens to a model under arithmetic on its weights.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

cache = typer.Typer(cls=Group, help="Manage the store of artifacts.", no_args_is_help=True)
app.add_typer(cache, name="cache")

app.add_typer(data, name="data")

experts = typer.Typer(cls=Group, help="Export the experts that a run tuned.", no_args_is_help=True)
app.add_typer(experts, name="experts")
app.add_typer(backbones, name="backbones")

new = typer.Typer(
    cls=GroupOfMethods,
    help="Write a file to start from: a method (`taskmark new my_method`), or a suite.",
    no_args_is_help=True,
)
app.add_typer(new, name="new")

_INTERRUPTED = 130  # what typer makes of Ctrl-C


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer hands it over so
    if asked:
        typer.echo(f"taskmark {version('taskmark')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take the options that stand before any command."""


@app.command()
@takes(
    "suite",
    "methods",
    "backbones",
    "recipes",
    "tasks",
    "seeds",
    "out",
    "plugins",
    "device",
    "workers",
    "store",
    "time_limit",
    "since",
    "experts",
    "accept_experts",
    "racing",
    "negation",
    "localisation",
)
def run(
    *, estimate: Estimate = False, quiet: Quiet = False, json: Json = False, **options: Any
) -> None:
    """Run methods on a suite and build the leaderboard."""
    from taskmark.commands.run_commands import run_command  # noqa: PLC0415 - imports torch

    run_command(config_of(options), quiet=quiet, json=json, only_estimate=estimate)


@app.command()
@takes("out")
def report(*, submissions: Submissions = None, quiet: Quiet = False, **options: Any) -> None:
    """Build tables and the leaderboard again from the records in a folder."""
    from taskmark.commands.reporting import report_command  # noqa: PLC0415

    report_command(config_of(options).out, quiet=quiet, submissions=submissions)


@app.command("list")
@takes("suite", "plugins")
def list_all(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]",
            help="suites, tasks, backbones, recipes or methods; by default all of them.",
            autocompletion=completion.complete_kinds,
        ),
    ] = None,
    **options: Any,
) -> None:
    """List suites, and the tasks, backbones, recipes and methods that a run can name."""
    from taskmark.commands.listing import list_command  # noqa: PLC0415

    config = config_of(options)
    list_command(what, config.suite, config.plugins)


@app.command()
@takes("plugins")
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A method or a suite.", autocompletion=completion.complete_shown
        ),
    ],
    **options: Any,
) -> None:
    """Describe a method with its hyper-parameters, or a suite."""
    from taskmark.commands.listing import show_command  # noqa: PLC0415

    show_command(name, config_of(options).plugins)


@new.command("method")
def new_method(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the method, such as my_method.")
    ],
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the file.")] = Path(),
) -> None:
    """Write a file with a working method to start from."""
    from taskmark.commands.author_commands import new_command  # noqa: PLC0415

    new_command(name, folder)


@new.command("suite")
def new_suite(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the suite, such as my-suite.")
    ],
    task: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=PATH",
            help="A task: a folder with a folder of images per class (maybe within train, "
            "validation and test), or a table (.csv) with the columns path, label and maybe "
            "split. To be repeated.",
        ),
    ],
    backbone: Annotated[
        list[str],
        typer.Option(
            metavar="MODEL",
            help="A model of timm, or of open_clip as MODEL:TAG, with the library's weights; "
            "MODEL=FILE takes those of a file, MODEL=random draws them. May be repeated.",
        ),
    ],
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder to write to; by default NAME.")
    ] = None,
) -> None:
    """Write a suite of your own images and models, which runs as it stands."""
    from taskmark.commands.own_suites import new_suite_command  # noqa: PLC0415 - imports torch

    new_suite_command(name, tasks=task, models=backbone, folder=folder or Path(name))


@app.command()
@takes("time_limit", "since", time_limit=300.0)
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Methods or plug-in files; by default all built-in methods.",
            autocompletion=completion.complete_methods,
        ),
    ] = None,
    *,
    large: Annotated[
        bool,
        typer.Option("--large", help="Also merge a model of 100 million weights (needs 5 GB)."),
    ] = False,
    **options: Any,
) -> None:
    """Run the public conformance tests on methods."""
    from taskmark.commands.author_commands import check_command  # noqa: PLC0415

    config = config_of(options)
    check_command(names or [], time_limit=config.time_limit, large=large, since=config.since)


@app.command()
@takes("out")
def submit(
    method: Annotated[
        str, typer.Argument(metavar="NAME", help="File with the method, or a package's method.")
    ],
    package: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The published package that has it: name==version."),
    ] = None,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of submissions.")] = Path(
        "submissions"
    ),
    **options: Any,
) -> None:
    """Collect and check the records of a method, and write the folder to commit."""
    from taskmark.commands.author_commands import submit_command  # noqa: PLC0415 - imports torch

    submit_command(method, package=package, out=config_of(options).out, to=to)


@app.command()
@takes(
    "backbones",
    "seeds",
    "experts",
    "accept_experts",
    "out",
    "device",
    "workers",
    "store",
    "time_limit",
    "since",
    out=Path("reproduced"),
)
def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Papers (see --list), or folders of submissions."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another suite that a paper names.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File for a paper's table, in Markdown.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON file for a paper's table.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what a paper's run would do, and stop.")
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="A dry run that also estimates time and disk.")
    ] = False,
    list_papers: Annotated[
        bool, typer.Option("--list", help="List the papers that can be named.")
    ] = False,
    **options: Any,
) -> None:
    """Reproduce papers and submissions.

    Of a paper, print its published figures next to those measured here. Of a submission, run it
    again and note in it whether the results agree.
    """
    from taskmark.commands.paper_commands import print_papers, reproduce_command  # noqa: PLC0415

    if list_papers:
        print_papers()
        return
    reproduce_command(
        names or [],
        config_of(options),
        suite=suite,
        outputs={"markdown": markdown, "json": json},
        dry_run=dry_run or estimate,
        estimated=estimate,
    )


@app.command()
def compare(
    before: Annotated[
        Path,
        typer.Argument(metavar="BEFORE", help="Folder of the earlier run, or a baseline (.json)."),
    ],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Folder of the later run.")],
    accept: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Make the later run the baseline; the reason goes into the changelog.",
        ),
    ] = None,
    changelog: Annotated[Path, typer.Option(metavar="FILE", help="File for --accept.")] = Path(
        "CHANGELOG.md"
    ),
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Markdown file, for a pull request.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JUnit XML file, for CI.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON file, for machines.")
    ] = None,
) -> None:
    """Compare two runs image by image; exit 1 if an accuracy moved."""
    from taskmark.commands.run_commands import compare_command  # noqa: PLC0415

    outputs = {"markdown": markdown, "junit": junit, "json": json}
    compare_command(before, after, accept=accept, changelog=changelog, outputs=outputs)


@experts.command("export")
@takes("suite", "backbones", "tasks", "seeds", "device", "store")
def experts_export(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder to write to, BACKBONE/SEED/TASK.safetensors."
        ),
    ],
    recipe: Annotated[str, typer.Option(metavar="NAME", help="standard or tangent.")] = "standard",
    **options: Any,
) -> None:
    """Write the experts that a run tuned, to use elsewhere with --experts."""
    from taskmark.commands.expert_commands import export_command  # noqa: PLC0415 - imports torch

    export_command(folder, config_of(options), recipe=recipe)


@cache.command("list")
@takes("store")
def cache_list(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="One kind of artifact, in detail.")
    ] = None,
    **options: Any,
) -> None:
    """Show what is stored, how large it is, and what uses what."""
    from taskmark.commands.cache_commands import list_cache  # noqa: PLC0415 - imports torch

    list_cache(config_of(options).store, kind)


@cache.command("verify")
@takes("store")
def cache_verify(**options: Any) -> None:
    """Check every stored byte; set damaged artifacts aside and exit with 1."""
    from taskmark.commands.cache_commands import verify_cache  # noqa: PLC0415

    verify_cache(config_of(options).store)


@cache.command("prune")
@takes("store")
def cache_prune(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it; without this, only list it.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also artifacts that records need.")
    ] = False,
    **options: Any,
) -> None:
    """List, or remove, what no record needs."""
    from taskmark.commands.cache_commands import prune_cache  # noqa: PLC0415

    prune_cache(config_of(options).store, everything=everything, yes=yes)


def main() -> None:
    """Run the command line; an error that the user can mend is one sentence and exit code 2."""
    try:
        app()
    except TaskmarkError as error:
        sentence = " ".join(str(error).split())
        PlainConsole(stderr=True).say(f"taskmark: {sentence}")
        raise SystemExit(2) from None
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            again = shlex.join(["taskmark", *sys.argv[1:]])
            PlainConsole(stderr=True).say(f"taskmark: interrupted; go on from here with: {again}")
        raise


if __name__ == "__main__":
    main()
