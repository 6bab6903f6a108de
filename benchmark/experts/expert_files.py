"""Finding the files of experts that somebody else tuned: which file belongs to which task."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suites.weight_files import INDEX, SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from taskmark.contract.recipe import Mode

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

# What trainers leave in the same folder, and is no weights.
_OF_TRAINERS = re.compile(
    r"^(lr_)?(optim(izer)?|scheduler|scaler|rng_state|random_states|training_args|trainer_state)"
    r"([._-]|\d|$)",
    re.IGNORECASE,
)

_SHARD = re.compile(r"(?P<model>.+)-\d{5}-of-\d{5}(?P<suffix>\.\w+)")

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
    collections have it, and holds one file of weights; what a trainer leaves beside it is passed
    over. Case and marks in names do not matter. Weights in several files are found by their index,
    `<name>.safetensors.index.json`, which then is the file.

    Args:
        folder: to look in.
        tasks: the tasks that need an expert.
        mode: how the experts were tuned; files whose names say the other way are passed over.

    Raises:
        TaskmarkError: if the folder cannot be read, two files are of one task, a task has none, or
            files that are a part of the weights have no index.
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
        raise _lacking(folder, missing, files, others)
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
        if name.startswith("."):
            continue
        if path.is_dir() or _holds_weights(path):
            yield path
        elif shard := _SHARD.fullmatch(name):
            _require_index(path, f"{shard['model']}{shard['suffix']}{INDEX}")


def _holds_weights(path: Path) -> bool:
    name = path.name
    if _OF_TRAINERS.match(name) or _SHARD.fullmatch(name) or name.endswith(REMAINDER):
        return False
    return path.suffix.lower() in SUFFIXES or name.endswith(tuple(s + INDEX for s in SUFFIXES))


def _require_index(shard: Path, index: str) -> None:
    if shard.suffix.lower() in SUFFIXES and not shard.with_name(index).exists():
        raise TaskmarkError(
            f"The file {str(shard)!r} is a part of a model's weights, and {index!r}, which names "
            "all parts, is not beside it; bring it along."
        )


def _stem(path: Path) -> str:
    """The name of a file without what says how it is read."""
    return path.with_name(path.name.removesuffix(INDEX)).stem


def _weights_in(path: Path, mode: Mode) -> list[Path]:
    """The file itself, or those in a folder that can be an expert's."""
    if not path.is_dir():
        return [path]
    other = _OTHER_RECIPE[mode]
    return [
        file
        for file in _entries(path)
        if not file.is_dir()
        and not any(mark in _stem(file).lower() for mark in _NOT_TUNED)
        and not other.match(_stem(file).lower())
    ]


def _task_of(path: Path, wanted: Mapping[str, str]) -> str | None:
    name = path.name if path.is_dir() else _stem(path)
    for written in (name, _MODEL.sub("", name)):
        plain = _plain(written)
        for spelt in (plain, plain.removesuffix("val")):
            if (task := wanted.get(spelt) or wanted.get(_ALSO.get(spelt, ""))) is not None:
                return task
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _lacking(
    folder: Path, missing: Sequence[str], there: Mapping[str, Path], others: Sequence[str]
) -> TaskmarkError:
    tasks = ", ".join(repr(task) for task in missing)
    found = {_plain(name.partition(".")[0]): name for name in others}
    meant = [
        f"{found[name]!r} for {task!r}"
        for task in missing
        for name in difflib.get_close_matches(_plain(task), found, n=1)
    ]
    hint = "" if there or others else "it holds no files of weights; "
    if there:
        files = (f"{task!r} ({file.relative_to(folder)})" for task, file in there.items())
        hint += f"there are those of {', '.join(files)}; "
    if meant:
        hint += f"did you mean {', '.join(meant)}? "
    elif others:
        hint += f"of no task of the suite are: {', '.join(others)}; "
    return TaskmarkError(
        f"There is no expert of {tasks} in {str(folder)!r}; {hint}bring "
        f"'{missing[0]}.safetensors' and so on, or leave the tasks out with --task."
    )
