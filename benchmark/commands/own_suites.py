"""What `taskmark new suite` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError
from taskmark.suite.suite_file import find_suites

if TYPE_CHECKING:
    from collections.abc import Sequence


def new_suite_command(
    name: str, *, tasks: Sequence[str], models: Sequence[str], folder: Path
) -> None:
    """Write a suite of somebody's own images and models, and say what to do with it.

    Args:
        name: of the suite.
        tasks: NAME=PATH each.
        models: see `taskmark.suites.own.library_models`.
        folder: to write to.

    Raises:
        TaskmarkError: if a name is taken, or images or a model cannot be used.
    """
    if name in find_suites():
        raise TaskmarkError(f"There is a suite {name!r} already; choose another name.")
    sources = dict(_source(text) for text in tasks)
    if len(sources) < len(tasks):
        raise TaskmarkError("Two tasks have one name; give each --task a name of its own.")
    from taskmark.suites.own.suite_writer import write_suite  # noqa: PLC0415 - imports torch

    made = write_suite(name, sources, models, folder)
    console = PlainConsole()
    for sentence in made.sentences:
        console.say(sentence)
    console.say(f"{made.file} is not frozen: its rows have boards of their own. Run it with:")
    console.say(f"  taskmark run --suite {made.file} --out {name}-results")
    console.say("and add --experts FOLDER to bring experts along in place of tuning them.")


def _source(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise TaskmarkError(f"The task {text!r} cannot be read; write --task NAME=PATH.")
    source = Path(path).expanduser()
    if not source.exists():
        raise TaskmarkError(
            f"There is nothing at {path!r} for the task {name!r}; give a folder with one folder of "
            "images per class, or a table (.csv) with the columns path and label."
        )
    return name, source
