"""Experts that somebody else tuned: which files they are, and what is said of them."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from taskmark.contract.recipe import Mode, get_recipe
from taskmark.errors import TaskmarkError
from taskmark.experts.expert_files import find_files, remainder_of
from taskmark.experts.expert_folders import find_folders
from taskmark.experts.expert_labels import LABEL, Label, label_of
from taskmark.records.envelope import ExpertOrigin
from taskmark.suites.weight_files import files_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from taskmark.contract.recipe import Recipe
    from taskmark.plugins.method_choice import MethodChoice

_log = logging.getLogger(__name__)

_Said = TypeVar("_Said")


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file with an expert, and that with what its weights leave out, by the hash of each.

    `ignore` has patterns of the names of tensors in it that are not read.
    """

    path: Path
    sha256: str
    remainder: str | None = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignFolder:
    """The experts of one backbone and seed, task -> file, with what is said of them."""

    path: Path
    label: Label
    files: Mapping[str, ForeignFile]


@dataclass(frozen=True, slots=True)
class ForeignExperts:
    """The experts that a run brings along, by backbone and by the seed of their tuning."""

    family: str
    recipe: Mode
    folders: Mapping[tuple[str, int], ForeignFolder]

    def tuned_under(self, backbone: str, seed: int) -> int:
        """The seed of the experts that stand for a seed of the run: it, or the only one."""
        own = [tuned for name, tuned in self.folders if name == backbone]
        return seed if seed in own else own[0]

    def facts(self, backbone: str, seed: int) -> ExpertOrigin:
        """What a record says of those of a backbone that were tuned under a seed."""
        folder = self.folders[backbone, seed]
        files = folder.files.items()
        return ExpertOrigin(
            family=self.family,
            source=folder.label.source,
            licence=folder.label.licence,
            files={task: file.sha256 for task, file in files},
            remainders={task: file.remainder for task, file in files if file.remainder},
        )


def read_experts(
    root: Path, tasks: Iterable[str], *, backbones: Sequence[str], seeds: Sequence[int]
) -> ForeignExperts:
    """Find the experts of a run in a folder or a tree of folders, and hash their files.

    Args:
        root: see `taskmark.experts.expert_folders.find_folders`.
        tasks: the tasks that need an expert.
        backbones: of the run.
        seeds: of the run.

    Raises:
        TaskmarkError: if a backbone or a seed has no folder, a task has no file or two, a file
            cannot be read, or the folders hold experts of several families or recipes.
    """
    tasks = tuple(tasks)
    folders: dict[tuple[str, int], ForeignFolder] = {}
    for (backbone, seed), path in find_folders(root, backbones, seeds).items():
        folder = _read_folder(path, root, tasks)
        said = folder.label.seed
        if seed is not None and said not in (None, seed):
            raise TaskmarkError(
                f"The folder {str(path)!r} is called by the seed {seed}, but {LABEL} says {said}; "
                "mend one of the two."
            )
        folders[backbone, seed if seed is not None else said or 0] = folder
    _check_distinct(folders)
    return ForeignExperts(_family(root, folders), _recipe(root, folders), folders)


def select_rows(
    chosen: Sequence[tuple[MethodChoice, Recipe]],
    mode: Mode,
    *,
    methods: Iterable[MethodChoice],
    recipes: Iterable[str],
) -> list[tuple[MethodChoice, Recipe]]:
    """The rows whose recipe takes experts that were tuned in that mode.

    Args:
        chosen: methods with the recipes that they run under.
        mode: how the experts were tuned.
        methods: those that the user named.
        recipes: those that the user named.

    Raises:
        TaskmarkError: if the user named a recipe or a method that needs other experts.
    """
    for name in recipes:
        if get_recipe(name).tuned != mode:
            raise TaskmarkError(
                f"The recipe {name!r} needs experts tuned as {get_recipe(name).tuned!r}, but "
                f"{LABEL} says {mode!r} of those given (or nothing, which means 'standard'); leave "
                "--recipe out, or bring others."
            )
    kept = [(choice, recipe) for choice, recipe in chosen if recipe.tuned == mode]
    for choice in methods:
        if choice not in [row[0] for row in kept]:
            raise TaskmarkError(
                f"The method {choice.name!r} runs under a recipe whose experts are tuned otherwise "
                f"than as {mode!r}, as those given are; leave it out, or bring others."
            )
    return kept


def hash_of(path: Path) -> str:
    """The SHA-256 of a file of an expert; of several files that of their hashes.

    Raises:
        TaskmarkError: if one cannot be read.
    """
    first, *more = (_sha256(file) for file in files_of(path))
    return hashlib.sha256("\n".join([first, *more]).encode()).hexdigest() if more else first


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TaskmarkError(
            f"The expert {str(path)!r} cannot be read ({error.strerror}); make it readable."
        ) from error


def _read_folder(path: Path, root: Path, tasks: Sequence[str]) -> ForeignFolder:
    label = label_of(path, root)
    found = find_files(path, tasks, label.recipe)
    if found.others:
        _log.warning("No task of the suite is meant by %s; not used.", ", ".join(found.others))
    files = {}
    for task, file in found.files.items():
        remainder = remainder_of(file)
        rest = hash_of(remainder) if remainder.exists() else None
        files[task] = ForeignFile(file.absolute(), hash_of(file), rest, label.ignore)
    return ForeignFolder(path, label, files)


def _check_distinct(folders: Mapping[tuple[str, int], ForeignFolder]) -> None:
    """See that no file stands for two tasks or two seeds of a backbone."""
    met: dict[tuple[str, str], tuple[str, Path]] = {}
    for (backbone, _), folder in folders.items():
        for task, file in folder.files.items():
            other, place = met.setdefault((backbone, file.sha256), (task, folder.path))
            if (other, place) == (task, folder.path):
                continue
            if place == folder.path:
                raise TaskmarkError(
                    f"The files of the tasks {other!r} and {task!r} in {str(place)!r} are the "
                    "same; bring each task's own expert."
                )
            raise TaskmarkError(
                f"The files of {other!r} in {str(place)!r} and of {task!r} in "
                f"{str(folder.path)!r} are the same; bring each seed's own expert."
            )


def _family(root: Path, folders: Mapping[tuple[str, int], ForeignFolder]) -> str:
    """The family's name; of one without a name that of its files."""
    label = _one(root, {folder.path: folder.label.family for folder in folders.values()}, "family")
    if label is not None:
        return label
    files = (file for folder in folders.values() for file in folder.files.values())
    hashes = "".join(file.sha256 for file in files)
    return f"unnamed-{hashlib.sha256(hashes.encode()).hexdigest()[:8]}"


def _recipe(root: Path, folders: Mapping[tuple[str, int], ForeignFolder]) -> Mode:
    return _one(root, {folder.path: folder.label.recipe for folder in folders.values()}, "recipe")


def _one(root: Path, said: Mapping[Path, _Said], what: str) -> _Said:
    """What all labels say alike."""
    first, *rest = said.items()
    for path, other in rest:
        if other != first[1]:
            raise TaskmarkError(
                f"The experts in {str(root)!r} are not of one {what}: {LABEL} says "
                f"{first[1] or 'nothing'} of {str(first[0])!r} and {other or 'nothing'} of "
                f"{str(path)!r}; run them one at a time with --backbone and --seed, or mend the "
                "labels."
            )
    return first[1]
