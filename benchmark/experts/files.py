"""Finding the files of experts that somebody else tuned: which file belongs to which task."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from taskmark.contract.recipe import Mode

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
"""Files that may hold weights."""

REMAINDER = ".remainder.safetensors"
"""How the file ends that tells what float32 weights leave out of a task vector."""

# What published collections write before the name of a task: the model that was tuned.
_MODEL = re.compile(r"^(clip-)?vit-(base|large|[bl])-?(patch)?\d+[-_]", re.IGNORECASE)

# Their spellings of tasks, without marks and in lower case, where ours differ in letters.
_ALSO = {
    "stanfordcars": "cars",
    "oxfordflowers102": "flowers102",
    "oxfordiiitpet": "pets",
    "oxfordpets": "pets",
    "patchcamelyon": "pcam",
}

# Beside an expert there may lie the model before tuning, and that tuned under the other recipe.
_NOT_TUNED = ("zeroshot", "head_")
_OTHER_RECIPE = {
    "standard": re.compile(r"^linear(ized)?_"),
    "tangent": re.compile(r"^(nonlinear_|finetuned)"),
}


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files of a folder.

    Attributes:
        files: task -> its file.
        others: names in the folder that are of none of the tasks.
    """

    files: Mapping[str, Path]
    others: tuple[str, ...]


def find_files(folder: Path, tasks: Iterable[str], mode: Mode) -> FoundFiles:
    """Find the file of each task, `<task>.safetensors`, `.pt`, `.pth` or `.bin`, or in a folder.

    A sub-folder is called as the task, or `<Task>Val`, or `<model>_<task>`, as published
    collections have it, and holds one file of weights. Case and marks in names do not matter.

    Args:
        folder: to look in.
        tasks: the tasks that need an expert.
        mode: how the experts were tuned; files whose names say the other way are passed over.

    Raises:
        TaskmarkError: if the folder cannot be read, two files are of one task, or a task has none.
    """
    wanted = {_plain(task): task for task in tasks}
    files: dict[str, Path] = {}
    others: list[str] = []
    for path in _entries(folder):
        task = _task_of(path, wanted)
        if task is None:
            others.append(path.name)
            continue
        for file in _weights_in(path, mode):
            if task in files:
                raise TaskmarkError(
                    f"There are two files of the task {task!r}, {str(files[task])!r} and "
                    f"{str(file)!r}; keep the one that is meant."
                )
            files[task] = file
    missing = [task for task in wanted.values() if task not in files]
    if missing:
        raise _lacking(folder, missing, others)
    return FoundFiles({task: files[task] for task in wanted.values()}, tuple(others))


def remainder_of(file: Path) -> Path:
    """Where the remainder of an expert's file lies, if it has one."""
    return file.with_name(f"{file.stem}{REMAINDER}")


def _entries(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            names = sorted(entry.name for entry in found)
    except OSError as error:
        raise TaskmarkError(
            f"The folder of experts {str(folder)!r} cannot be read ({error.strerror}); give one "
            "with a file for each task."
        ) from error
    for name in names:
        path = folder / name
        if not name.startswith(".") and (path.is_dir() or _holds_weights(path)):
            yield path


def _holds_weights(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.endswith(REMAINDER)


def _weights_in(path: Path, mode: Mode) -> list[Path]:
    """The file itself, or those in a folder that can be an expert's."""
    if not path.is_dir():
        return [path]
    other = _OTHER_RECIPE[mode]
    return [
        file
        for file in _entries(path)
        if not file.is_dir()
        and not any(mark in file.stem.lower() for mark in _NOT_TUNED)
        and not other.match(file.stem.lower())
    ]


def _task_of(path: Path, wanted: Mapping[str, str]) -> str | None:
    name = path.name if path.is_dir() else path.stem
    for written in (name, _MODEL.sub("", name)):
        plain = _plain(written)
        for spelt in (plain, plain.removesuffix("val")):
            if (task := wanted.get(spelt) or wanted.get(_ALSO.get(spelt, ""))) is not None:
                return task
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _lacking(folder: Path, missing: list[str], others: list[str]) -> TaskmarkError:
    tasks = ", ".join(repr(task) for task in missing)
    found = {_plain(name.partition(".")[0]): name for name in others}
    meant = [
        f"{found[name]!r} for {task!r}"
        for task in missing
        for name in difflib.get_close_matches(_plain(task), found, n=1)
    ]
    if meant:
        hint = f"did you mean {', '.join(meant)}? "
    elif others:
        hint = f"of no task of the suite are: {', '.join(others)}; "
    else:
        hint = "it holds no files of weights; "
    return TaskmarkError(
        f"There is no expert of {tasks} in {str(folder)!r}; {hint}bring "
        f"'{missing[0]}.safetensors' and so on, or leave the tasks out with --task."
    )
