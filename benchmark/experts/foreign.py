"""Experts that somebody else tuned: what is said of them, and their task vectors from files."""

from __future__ import annotations

import hashlib
import logging
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field

from taskmark.costs import measured
from taskmark.errors import TaskmarkError
from taskmark.experts.files import find_files, remainder_of
from taskmark.recipes import Mode, recipe_named
from taskmark.record import Experts, Frozen
from taskmark.storage.lineage import note
from taskmark.suites.weight_files import read_tensors
from taskmark.toml_files import faults_in_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from taskmark.context import Context
    from taskmark.recipes import Recipe
    from taskmark.registry import MethodChoice
    from taskmark.weights import WeightSpace

LABEL = "experts.toml"
"""The file in a folder of experts that says whose they are."""

_log = logging.getLogger(__name__)


class Label(Frozen):
    """What `experts.toml` says.

    Attributes:
        family: the name under which all experts of this kind go, in figures that are compared.
        source: where they are from.
        licence: under which they may be used.
        recipe: how they were tuned.
    """

    family: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")] | None = None
    source: str = ""
    licence: str = ""
    recipe: Mode = "standard"


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file with an expert, and that with what its weights leave out, by the hash of each."""

    path: Path
    sha256: str
    remainder: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignExperts:
    """The experts that a run brings along, task -> file, with what is said of them."""

    label: Label
    files: Mapping[str, ForeignFile]

    @property
    def family(self) -> str:
        """The family's name; of one without a name that of its files."""
        if self.label.family is not None:
            return self.label.family
        told = "".join(file.sha256 for file in self.files.values())
        return f"unnamed-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    @property
    def facts(self) -> Experts:
        """What a record says of them."""
        files = self.files.items()
        return Experts(
            family=self.family,
            source=self.label.source,
            licence=self.label.licence,
            files={task: file.sha256 for task, file in files},
            remainders={task: file.remainder for task, file in files if file.remainder},
        )


def read_folder(folder: Path, tasks: Iterable[str]) -> ForeignExperts:
    """Find the experts in a folder and hash their files.

    Args:
        folder: see `taskmark.experts.files.find_files`; with `experts.toml`, which may be missing.
        tasks: the tasks that need an expert.

    Raises:
        TaskmarkError: if a task has no file or two, or if a file cannot be read.
    """
    label = _label(folder)
    found = find_files(folder, tasks, label.recipe)
    if found.others:
        _log.warning("No task of the suite is meant by %s; not used.", ", ".join(found.others))
    files = {}
    for task, path in found.files.items():
        remainder = remainder_of(path)
        files[task] = ForeignFile(
            path.absolute(), _sha256(path), _sha256(remainder) if remainder.exists() else None
        )
    by_hash: dict[str, str] = {}
    for task, file in files.items():
        if (other := by_hash.setdefault(file.sha256, task)) != task:
            raise TaskmarkError(
                f"The files of the tasks {other!r} and {task!r} in {str(folder)!r} are the same; "
                "bring each task's own expert."
            )
    return ForeignExperts(label, files)


def suited(
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
        if recipe_named(name).tuned != mode:
            raise TaskmarkError(
                f"The recipe {name!r} needs experts tuned as {recipe_named(name).tuned!r}, but "
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


def check_choice(backbones: Sequence[str], seeds: Sequence[int]) -> None:
    """Check that experts that are brought along can stand for what was chosen.

    Raises:
        TaskmarkError: if there is more than one backbone or seed.
    """
    if len(backbones) > 1:
        raise TaskmarkError(
            f"Experts belong to one backbone, and this run has {', '.join(backbones)}; "
            "choose one with --backbone."
        )
    if len(seeds) > 1:
        raise TaskmarkError(
            f"Experts that are brought along are the same under every seed, and this run has "
            f"{', '.join(map(str, seeds))}; choose one with --seed."
        )


def make_foreign_expert(
    context: Context, key: str, *, backbone: str, task: str, sha256: str, remainder: str | None
) -> None:
    """Read one expert and keep its task vector, theta - theta0.

    The difference is taken in float32, as tuning does. Where a remainder is given it is added.

    Raises:
        TaskmarkError: if the file is not an expert of the backbone, or changed since it was hashed.
    """
    if context.experts is None:
        raise TaskmarkError("There are no experts to read; give their folder with --experts.")
    path = context.experts.files[task].path
    weights = context.suite.backbones[backbone].weights
    setting = context.setting(context.encoder(backbone))
    with measured() as spent:
        tensors = context.provider.expert_weights(weights, path)
        dtypes = _other_dtypes(tensors)
        vector = _read(path, tensors, setting.space)
        del tensors  # a remainder may be as large
        vector -= setting.pretrained
        if remainder is not None:
            rest = remainder_of(path)
            vector += _read(rest, read_tensors(rest), setting.space)
            _check_unchanged(rest, remainder)
        _check_unchanged(path, sha256)
    if dtypes:
        note(f"The expert of {task} is stored as {', '.join(dtypes)} and was read as float32.")
    facts = {"losses": [], "seconds": spent.seconds, "cpu_seconds": spent.cpu_seconds}
    context.store.put("experts", key, {"vector": vector}, facts)


def _read(path: Path, tensors: Mapping[str, Tensor], space: WeightSpace) -> Tensor:
    """Named tensors as one vector [P], float32, all finite."""
    try:
        vector = space.flatten(tensors)
    except TaskmarkError as error:
        raise TaskmarkError(
            f"The file {str(path)!r} is of another architecture than the backbone: {error}"
        ) from error
    for part in space:
        if not torch.isfinite(vector[part.slice]).all():
            raise TaskmarkError(
                f"The tensor {part.name!r} in {str(path)!r} has numbers that are not finite; the "
                "expert diverged or its file is damaged, bring another."
            )
    return vector


def _other_dtypes(tensors: Mapping[str, Tensor]) -> list[str]:
    kinds = {tensor.dtype for tensor in tensors.values()}
    return sorted(str(kind).removeprefix("torch.") for kind in kinds - {torch.float32})


def _check_unchanged(path: Path, sha256: str) -> None:
    if _sha256(path) != sha256:
        raise TaskmarkError(
            f"The file {str(path)!r} changed since the run began; run again once it is whole."
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TaskmarkError(
            f"The expert {str(path)!r} cannot be read ({error.strerror}); make it readable."
        ) from error


def _label(folder: Path) -> Label:
    path = folder / LABEL
    if not path.exists():
        return Label()
    fields = "family (small letters, digits and marks), source, licence and recipe"
    with faults_in_sentences(f"The file {str(path)!r}", hint=f"; it may have {fields}"):
        return Label(**tomllib.loads(path.read_text("utf-8")))
