"""Exporting experts: the weights of those that a run tuned, in files that others can load."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

from safetensors.torch import save

from taskmark.atomic_files import write_atomically
from taskmark.contract.recipe import get_recipe
from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.experts.expert_files import remainder_of
from taskmark.experts.expert_folders import place_of
from taskmark.experts.expert_labels import LABEL, Label, read_label
from taskmark.records.frozen import digest
from taskmark.stages.expert_stages import Tune

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from taskmark.contract.recipe import Mode
    from taskmark.engine.stage_store import StageStore
    from taskmark.suite.suite_file import Suite

_NO_NAME = re.compile(r"[^a-z0-9._-]+")  # what a family's name may not have
_SHOWN = 16  # letters of the suite's name, and digits of the hash, in a family's name


def export_experts(
    suite: Suite,
    store: StageStore,
    root: Path,
    *,
    backbones: Sequence[str],
    recipe: str,
    seeds: Sequence[int],
    named: str = "",
) -> list[Path]:
    """Write the experts of a run, `<backbone>/<seed>/<task>.safetensors`, and what is said of them.

    A file holds theta = theta0 + tau, rounded to float32, by the names of the encoder's parameters.
    Where theta - theta0 in float32 is not tau, number for number, what it lacks is written beside,
    `<task>.remainder.safetensors`, so that whoever brings these files along gets tau itself. Tuned
    weights need none, since tau was made as that difference, but for rare ties in rounding; tangent
    experts are tuned as weights too, and need none either.

    Args:
        suite: of the run.
        store: where the run left its artifacts.
        root: folder to write to.
        backbones: whose experts.
        recipe: under which they were tuned.
        seeds: of their tuning.
        named: what the user called the suite; its name and version unless said.

    Returns:
        The files of weights.

    Raises:
        TaskmarkError: if the run has not made one of them, other experts are there already, or a
            file cannot be written.
    """
    mode = get_recipe(recipe).tuned
    label = Label(
        family=family_of(suite, mode),
        source=f"taskmark, {suite.name} {suite.facts.edition}",
        recipe=mode,
    )
    stored = {
        (backbone, seed): _experts(suite, store, backbone, recipe, seed, named)
        for backbone in backbones
        for seed in seeds
    }
    for place in stored:
        _check_free(place_of(root, *place), label)
    return [
        path
        for (backbone, seed), experts in stored.items()
        for path in _export(
            store,
            place_of(root, backbone, seed),
            experts=experts,
            label=label.model_copy(update={"seed": seed}),
        )
    ]


def _export(
    store: StageStore, folder: Path, *, experts: Sequence[Tune], label: Label
) -> list[Path]:
    """Write the experts of one backbone and seed."""
    encoder = experts[0].model.encoder()
    space = WeightSpace.of(encoder)
    pretrained = space.flatten(dict(encoder.named_parameters()))
    written = []
    for expert in experts:
        weights, remainder = split(pretrained, store.get(expert).tensors["vector"])
        path = folder / f"{expert.task}.safetensors"
        _write(path, space, weights)
        if remainder.any():
            _write(remainder_of(path), space, remainder)
        else:
            remainder_of(path).unlink(missing_ok=True)
        written.append(path)
    fields = label.model_dump(exclude_none=True, exclude={"licence", "ignore"})
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    write_atomically(folder / LABEL, ("\n".join(lines) + "\n").encode())
    return written


def _check_free(folder: Path, label: Label) -> None:
    """See that a folder holds no experts of another family, which would be lost or mixed up."""
    path = folder / LABEL
    if path.exists() and (found := read_label(path).family) != label.family:
        raise TaskmarkError(
            f"The folder {str(folder)!r} holds experts of the family {found or 'without a name'}, "
            f"and these are of {label.family}; name another folder."
        )


def family_of(suite: Suite, mode: Mode) -> str:
    """A name that only experts share that were made alike: the suite's, shortened, and a hash.

    Those of several backbones and seeds are one family, since records tell them apart.
    """
    short = _NO_NAME.sub("-", suite.name.lower())[:_SHOWN].strip("._-") or "suite"
    return f"{short}-{digest([suite.sha256, mode, *suite.tasks])[:_SHOWN]}"


def words_of_run(
    suite: Suite, *, backbones: Sequence[str], seeds: Sequence[int], named: str = ""
) -> list[str]:
    """The words of a command that runs a suite on the same tasks.

    Args:
        suite: as a run takes it, whose variant says what was changed of it.
        backbones: of the run.
        seeds: of the run.
        named: what the user called the suite; its name and version unless said.
    """
    words = ["taskmark", "run", "--suite", named or f"{suite.name}@{suite.version}"]
    for task in suite.variant.tasks:
        words += ["--task", task]
    for backbone in backbones:
        words += ["--backbone", backbone]
    for seed in seeds:
        words += ["--seed", str(seed)]
    return words


def split(pretrained: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
    """Weights that somebody else can load, and what their difference to theta0 lacks.

    Args:
        pretrained: theta0, [P], float32.
        vector: tau, [P], float32.

    Returns:
        theta and r, [P] each, float32, with (theta - theta0) + r = tau, number for number, where
        each operation is rounded to float32. The difference to tau is a number of float32 itself:
        theta - theta0 is tau rounded to a coarser grid, at most half a step of it away.
    """
    weights = pretrained + vector
    return weights, vector - (weights - pretrained)


def _experts(
    suite: Suite, store: StageStore, backbone: str, recipe: str, seed: int, named: str
) -> list[Tune]:
    """The experts of a run, which must be in the store."""
    experts = [Tune.of(suite, backbone, task, recipe, seed) for task in suite.tasks]
    words = words_of_run(suite, backbones=[backbone], seeds=[seed], named=named)
    command = shlex.join([*words, "--recipe", recipe])
    for expert in experts:
        if not store.has(expert):
            raise TaskmarkError(
                f"The expert of {expert.task!r} on {backbone!r} is not in the store "
                f"{str(store.store.root)!r}; run `{command}` first, with the same store."
            )
    return experts


def _write(path: Path, space: WeightSpace, vector: Tensor) -> None:
    tensors = {name: part.clone() for name, part in space.unflatten(vector).items()}
    write_atomically(path, save(tensors))
