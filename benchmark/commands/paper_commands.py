"""What `taskmark reproduce` does: run papers and compare their figures; pass submissions on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from taskmark.commands.author_commands import SUBMISSIONS
from taskmark.commands.author_commands import reproduce_command as reproduce_submissions
from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskmark.config import RunConfig
    from taskmark.papers.paper_file import Paper
    from taskmark.papers.table import Measurements
    from taskmark.suite.suite_file import Suite


def reproduce_command(
    names: Sequence[str],
    config: RunConfig,
    *,
    suite: str | None,
    outputs: Mapping[str, Path | None],
    dry_run: bool,
    estimated: bool,
) -> None:
    """Reproduce the papers and then the submissions among some names.

    Raises:
        TaskmarkError: if a name is neither, or something cannot be run.
    """
    papers, folders = papers_and_submissions(names)
    if folders and dry_run:
        raise TaskmarkError(
            f"A submission, such as {str(folders[0])!r}, has no dry run; "
            "leave --dry-run out, or name papers alone."
        )
    if papers:
        reproduce_papers(
            papers,
            config,
            suite_name=suite,
            dry_run=dry_run,
            estimated=estimated,
            outputs=outputs,
        )
    if folders or not papers:
        reproduce_submissions(folders, config)


def papers_and_submissions(names: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Tell the names of papers from the folders of submissions.

    A paper's name means the paper; a folder of the same name is written with a slash.

    Raises:
        TaskmarkError: if a name is neither.
    """
    from taskmark.papers.paper_file import find_papers, is_paper  # noqa: PLC0415

    papers = [name for name in names if is_paper(name)]
    folders = [Path(name) for name in names if not is_paper(name)]
    submitted = [str(path.parent) for path in sorted(SUBMISSIONS.glob("*/*/submission.json"))]
    for folder in folders:
        if not folder.is_dir():
            raise unknown("paper or submission", str(folder), [*find_papers(), *submitted])
    return papers, folders


def print_papers() -> None:
    """Print the papers that can be reproduced, and how many of their figures are known."""
    from taskmark.papers.paper_file import find_papers, read  # noqa: PLC0415

    table = Table("paper", "suite", "figures", "title", box=None, pad_edge=False)
    for name, path in find_papers().items():
        paper = read(path)
        n = sum(len(values) for found in paper.published for values in found.values.values())
        table.add_row(*(Text(cell) for cell in (name, paper.suites[0], str(n), paper.title)))
    PlainConsole().show(table, keep=("paper", "suite"))


def reproduce_papers(
    names: Sequence[str],
    config: RunConfig,
    *,
    suite_name: str | None,
    dry_run: bool,
    estimated: bool,
    outputs: Mapping[str, Path | None],
) -> None:
    """Run the protocols of papers and print their figures and those measured.

    Args:
        names: of papers, or files that describe them.
        config: where and on what to run, on which of their backbones, with which experts.
        suite_name: one of a paper's suites; its first where None.
        dry_run: print what would be run and what is published, and run nothing.
        estimated: then also measure how fast this machine is, and print what it would take.
        outputs: files to write to, by "markdown" and "json".

    Raises:
        TaskmarkError: if a name is unknown, a file is not valid, or a run cannot be made.
    """
    from taskmark.atomic_files import write_atomically  # noqa: PLC0415
    from taskmark.papers import reproduction_formats  # noqa: PLC0415
    from taskmark.papers.paper_file import load  # noqa: PLC0415
    from taskmark.papers.runs import (  # noqa: PLC0415
        choose_backbones,
        choose_suite,
        lay_over_suite,
    )
    from taskmark.papers.table import Measurements, compare_figures  # noqa: PLC0415
    from taskmark.suite.suite_file import load as load_suite  # noqa: PLC0415

    if len(names) > 1 and any(outputs.values()):
        raise TaskmarkError(
            f"One file cannot hold {len(names)} papers ({', '.join(names)}); "
            "give --markdown and --json with one paper at a time."
        )
    console = PlainConsole()
    for paper in [load(name) for name in names]:
        suite = lay_over_suite(paper, load_suite(choose_suite(paper, suite_name)))
        backbones = choose_backbones(paper, config.backbones)
        for sentence in [
            reproduction_formats.citation(paper),
            *reproduction_formats.protocol(paper, suite, backbones),
        ]:
            console.say(sentence)
        if dry_run:
            console.say(_readiness(paper, suite, backbones))
            for sentence in _estimates(paper, suite, config) if estimated else ():
                console.say(sentence)
            found = Measurements()
        else:
            found = _measured(console, paper, suite, config)
        compared = compare_figures(paper, suite, backbones, found)
        notes = list(reproduction_formats.notes(paper, suite, compared))
        formats = {
            "markdown": reproduction_formats.markdown(paper, compared, notes),
            "json": reproduction_formats.as_json(paper, suite, compared, notes),
        }
        for kind, path in outputs.items():
            if path is not None:
                write_atomically(path, formats[kind].encode())
        for table in reproduction_formats.tables(compared):
            console.show(table, keep=("row", "metric", "published", "measured"))
        for sentence in [*reproduction_formats.sources(compared), *notes]:
            console.say(sentence)


def _readiness(paper: Paper, suite: Suite, backbones: Sequence[str]) -> str:
    """Whether all that the paper needs is here, in a sentence, and how to get what is not."""
    from taskmark.suite.provider import provider  # noqa: PLC0415
    from taskmark.suite.unfrozen_suites import list_missing  # noqa: PLC0415

    tasks = (*suite.tasks, *(suite.controls if paper.negation else ()))
    missing = list_missing(suite, provider(suite.provider), backbones, tasks)
    if not missing:
        return "All data and weights that it needs are here."
    return f"The suite {suite.label} cannot run here yet: {missing}."


def _estimates(paper: Paper, suite: Suite, config: RunConfig) -> Iterator[str]:
    """What each recipe of the paper would take here; what several share is counted in each."""
    from taskmark.engine.run import estimate  # noqa: PLC0415
    from taskmark.papers.runs import plan_runs  # noqa: PLC0415

    for asked in plan_runs(paper, config):
        yield f"Recipe {asked.recipes[0]}, if run alone. {estimate(asked, suite=suite)}"


def _measured(console: PlainConsole, paper: Paper, suite: Suite, config: RunConfig) -> Measurements:
    """What the runs of a paper make, one run per recipe, with progress."""
    from taskmark.engine.progress import Display  # noqa: PLC0415
    from taskmark.engine.run import Watcher, run  # noqa: PLC0415
    from taskmark.experts.foreign import read_experts  # noqa: PLC0415
    from taskmark.papers.runs import choose_backbones, plan_runs, rows_left_out  # noqa: PLC0415
    from taskmark.papers.table import Measurements  # noqa: PLC0415

    tuned = None
    if config.experts is not None:
        backbones = choose_backbones(paper, config.backbones)
        brought = read_experts(config.experts, suite.tasks, backbones=backbones, seeds=config.seeds)
        tuned = brought.recipe
        if left_out := rows_left_out(paper, tuned):
            console.say(f"Not run, since the experts are tuned as {tuned}: {left_out}.")
    outcomes = []
    for asked in plan_runs(paper, config, tuned=tuned):
        with Display(console, quiet=False) as display:
            watcher = Watcher(display.begin, display.event, display.say)
            outcomes.append(run(asked, watcher, suite=suite))
    return Measurements(
        records=[record for outcome in outcomes for record in outcome.records],
        negations=[record for outcome in outcomes for record in outcome.of("negation")],
    )
