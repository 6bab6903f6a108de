"""The command line: `taskmark run | report | list | check | compare | cache` and more."""

from __future__ import annotations

import shlex
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

cache = typer.Typer(help="Look after the store of artifacts.", no_args_is_help=True)
app.add_typer(cache, name="cache")

data = typer.Typer(help="Get the data of the real suites.", no_args_is_help=True)
app.add_typer(data, name="data")

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
    float, typer.Option(help="Seconds that one edit, or the check, of a plug-in may take.", min=1)
]
Submissions = Annotated[
    Path | None, typer.Option(help="Folder of submissions that stand on the boards, too.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print progress as JSON, one object a line, and no tables.")
]
Since = Annotated[
    str | None, typer.Option(help="Take what changed since a commit, such as origin/main.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]

DataSets = Annotated[
    list[str] | None, typer.Argument(help="Data sets; all that are known unless said.")
]
LockFile = Annotated[
    Path | None, typer.Option("--lock", help="Lock file; TASKMARK_DATA_LOCK or ours otherwise.")
]
DataFolder = Annotated[
    Path | None, typer.Option("--folder", help="For decoded images; TASKMARK_DATA otherwise.")
]


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
    since: Since = None,
    *,
    racing: Racing = False,
    negation: Negation = False,
    localisation: Localisation = False,
    quiet: Quiet = False,
    json: Json = False,
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
        since=since,
        racing=racing,
        negation=negation,
        localisation=localisation,
        quiet=quiet,
        json=json,
    )


@app.command()
def report(
    out: Out = Path("results"), submissions: Submissions = None, *, quiet: Quiet = False
) -> None:
    """Build tables and the leaderboard again from the records in a folder."""
    from taskmark.commands import report_command  # noqa: PLC0415

    report_command(out, quiet=quiet, submissions=submissions)


@app.command("list")
def list_all(suite: Suite = "mini", plugin: Plugins = None) -> None:
    """List suites, and the tasks, backbones, recipes and methods that a run can name."""
    from taskmark.commands import list_command  # noqa: PLC0415

    list_command(suite, plugin or [])


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the method, such as my_method.")],
    folder: Annotated[Path, typer.Option(help="Where the file goes.")] = Path(),
) -> None:
    """Write a file with a method that runs as it stands, to go on from."""
    from taskmark.author_commands import new_command  # noqa: PLC0415

    new_command(name, folder)


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Methods or plug-in files; all built-in methods unless said."),
    ] = None,
    time_limit: TimeLimit = 300,
    *,
    large: Annotated[
        bool, typer.Option("--large", help="Also merge a model of 100 million numbers (5 GB).")
    ] = False,
    since: Since = None,
) -> None:
    """Run the public conformance tests on methods."""
    from taskmark.author_commands import check_command  # noqa: PLC0415

    check_command(names or [], time_limit=time_limit, large=large, since=since)


@app.command()
def submit(
    method: Annotated[str, typer.Argument(help="File with the method, or a package's method.")],
    package: Annotated[
        str | None, typer.Option(help="The published package that has it: name==version.")
    ] = None,
    out: Out = Path("results"),
    to: Annotated[Path, typer.Option(help="Folder of submissions.")] = Path("submissions"),
) -> None:
    """Gather the records of a method, check them, and write the folder to commit."""
    from taskmark.author_commands import submit_command  # noqa: PLC0415 - imports torch

    submit_command(method, package=package, out=out, to=to)


@app.command()
def reproduce(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of submissions.")] = None,
    out: Out = Path("reproduced"),
    device: Device = "auto",
    workers: Workers = None,
    store: StoreFolder = None,
    time_limit: TimeLimit = 3600,
    since: Since = None,
) -> None:
    """Run submissions again, and note in them whether they came out the same."""
    from taskmark.author_commands import reproduce_command  # noqa: PLC0415 - imports torch

    reproduce_command(
        folders or [],
        out=out,
        device=device,
        workers=workers,
        store=store,
        time_limit=time_limit,
        since=since,
    )


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="Folder of a former run, or a baseline (.json).")],
    after: Annotated[Path, typer.Argument(help="Folder of a later run.")],
    accept: Annotated[
        str | None,
        typer.Option(help="Why: make the later run the baseline, and tell the changelog."),
    ] = None,
    changelog: Annotated[Path, typer.Option(help="File for --accept.")] = Path("CHANGELOG.md"),
    markdown: Annotated[Path | None, typer.Option(help="File for a pull request.")] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML file, for CI.")] = None,
    json: Annotated[Path | None, typer.Option(help="JSON file, for machines.")] = None,
) -> None:
    """Compare two runs image by image; exit 1 if an accuracy moved."""
    from taskmark.commands import compare_command  # noqa: PLC0415

    outputs = {"markdown": markdown, "junit": junit, "json": json}
    compare_command(before, after, accept=accept, changelog=changelog, outputs=outputs)


@cache.command("list")
def cache_list(
    kind: Annotated[str | None, typer.Argument(help="One kind of artifact, in detail.")] = None,
    store: StoreFolder = None,
) -> None:
    """Show what is stored, how large it is, and what uses what."""
    from taskmark.cache_commands import list_cache  # noqa: PLC0415 - imports torch

    list_cache(store, kind)


@cache.command("verify")
def cache_verify(store: StoreFolder = None) -> None:
    """Read every byte; set aside what is damaged, and exit with 1 if anything is."""
    from taskmark.cache_commands import verify_cache  # noqa: PLC0415

    verify_cache(store)


@cache.command("prune")
def cache_prune(
    store: StoreFolder = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it, and not only say so.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also records' artifacts and what they need.")
    ] = False,
) -> None:
    """Show, or remove, what no record needs."""
    from taskmark.cache_commands import prune_cache  # noqa: PLC0415

    prune_cache(store, everything=everything, yes=yes)


@data.command("list")
def data_list(lock: LockFile = None, folder: DataFolder = None) -> None:
    """Show each data set: where from, its licence and size, and what is missing."""
    from taskmark.data_commands import list_data  # noqa: PLC0415 - imports torch

    list_data(lock, folder)


@data.command("fetch")
def data_fetch(
    names: DataSets = None,
    lock: LockFile = None,
    folder: DataFolder = None,
    workers: Workers = None,
) -> None:
    """Fetch data sets from the hub and decode them; goes on where it was interrupted."""
    from taskmark.data_commands import fetch_data  # noqa: PLC0415 - imports torch

    fetch_data(names or [], lock, folder, workers)


@data.command("verify")
def data_verify(names: DataSets = None, lock: LockFile = None, folder: DataFolder = None) -> None:
    """Read every image, and list those of test that stand in train too; exit 1 if damaged."""
    from taskmark.data_commands import verify_data  # noqa: PLC0415 - imports torch

    verify_data(names or [], lock, folder)


@data.command("lock")
def data_lock(
    names: DataSets = None,
    lock: LockFile = None,
    folder: DataFolder = None,
    workers: Workers = None,
    revision: Annotated[
        str | None, typer.Option(help="A full commit hash; the newest commit otherwise.")
    ] = None,
) -> None:
    """Resolve data sets: fetch and decode them, and write commit and hashes to the lock file."""
    from taskmark.data_commands import lock_data  # noqa: PLC0415 - imports torch

    lock_data(names or [], lock, folder, workers, revision)


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
            again = shlex.join(["taskmark", *sys.argv[1:]])
            print(f"taskmark: interrupted; go on from here with: {again}", file=sys.stderr)  # noqa: T201
        raise
