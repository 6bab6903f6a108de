"""What the real suites offer to the harness: data from the hub, and public backbones, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import loading, text, towers
from taskmark.suites.real.backbones.backbone_lock import read_lock as backbones_lock
from taskmark.suites.real.backbones.encoder import TowerEncoder
from taskmark.suites.real.backbones.public_backbones import definition as backbone_definition
from taskmark.suites.real.data import arrays, tasks
from taskmark.suites.real.data.data_lock import read_lock
from taskmark.suites.real.data.public_data_sets import definition
from taskmark.suites.real.data.tasks import Place
from taskmark.suites.real.data.validation_split import manifest
from taskmark.suites.task_data import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from taskmark.suites.task_data import TaskData


def task(name: str) -> TaskData:
    """The data of a task, memory-mapped."""
    return tasks.load(name)


def backbone(weights: str) -> tuple[None, nn.Module]:
    """No stem, and the encoder, which takes uint8 images: all of it is tuned."""
    return None, loading.load(weights)


def weights_sha256(weights: str) -> str:
    """The hash of the weights as they are on this machine."""
    return loading.weights_sha256(weights)


def embed_prompts(weights: str, prompts: Sequence[str]) -> Tensor:
    """Text embeddings of unit length, [n, D]."""
    return text.embed_prompts(weights, prompts)


def logit_scale(weights: str) -> float:
    """What cosines are multiplied with."""
    return text.logit_scale(weights)


def expert_weights(weights: str, path: Path, *, ignore: Sequence[str] = ()) -> Mapping[str, Tensor]:
    """An expert that somebody else tuned, by the names of the encoder's parameters."""
    return loading.expert_weights(weights, path, ignore=ignore)


def missing(names: Sequence[str], weights: Sequence[str]) -> str:
    """Say which data sets and weights are not on this machine, and how to get them.

    Args:
        names: tasks.
        weights: names of backbones.

    Returns:
        All of them in one sentence without its full stop; empty if everything is here.
    """
    place = Place()
    locks = read_lock(place.lock)
    unresolved = [name for name in names if name not in locks]
    absent = [
        name
        for name in names
        if name in locks and not (place.of(name, locks[name].revision) / arrays.FACTS).is_file()
    ]
    parts = []
    if unresolved:
        parts.append(
            f"nobody knows yet which commit of the data counts of {', '.join(unresolved)} (get it "
            f"with `taskmark data lock {' '.join(unresolved)}`)"
        )
    if absent:
        parts.append(
            f"the data of {', '.join(absent)} is missing or was fetched in part (get it, or the "
            f"rest, with `taskmark data fetch {' '.join(absent)}`)"
        )
    parts += _damaged([name for name in names if name not in {*unresolved, *absent}], place)
    parts += _weights(weights)
    return "; ".join(parts)


def sizes(name: str, place: Place | None = None) -> Sizes | None:
    """How large a task is: as it was decoded, or else as the lock or its authors say.

    Returns:
        None where none of them does.
    """
    place = place or Place()
    data, locked = definition(name), read_lock(place.lock).get(name)
    folder = place.of(name, locked.revision) if locked else None
    if folder is not None and (facts := arrays.read_facts(folder)) is not None:
        rows = (facts.rows["train"], facts.rows["validation"], facts.rows["test"])
        return Sizes(*rows, n_bytes=arrays.n_bytes(sum(rows), facts.size), is_here=True)
    official = locked.rows if locked and locked.rows else data.official_rows
    if not official:
        return None
    split = manifest(official["train"])
    rows = (len(split.train), len(split.validation), official["test"])
    side = data.native_size or tasks.RESOLUTION
    to_fetch = sum(file.size for file in locked.files.values()) if locked else 0
    return Sizes(*rows, n_bytes=arrays.n_bytes(sum(rows), side) + to_fetch, is_here=False)


def untrained(weights: str) -> TowerEncoder:
    """The encoder of a backbone with weights that are drawn, on which its speed does not depend.

    Raises:
        TaskmarkError: if there is no such backbone.
    """
    described = backbone_definition(weights)
    tower = towers.build(described)
    return TowerEncoder(
        tower, resolution=described.resolution, mean=described.mean, std=described.std
    ).eval()


def _damaged(names: Sequence[str], place: Place) -> list[str]:
    found = []
    for name in names:
        try:
            tasks.load(name, place)
        except TaskmarkError as error:
            found.append(_within(error))
    return found


def _weights(names: Sequence[str]) -> list[str]:
    locks = backbones_lock()
    unresolved: list[str] = []
    absent: list[str] = []
    for name in names:
        try:
            loading.weights_sha256(name)
        except TaskmarkError:
            (absent if name in locks else unresolved).append(name)
    parts = []
    if unresolved:
        parts.append(
            f"nobody knows yet which commit of the weights counts of {', '.join(unresolved)} (get "
            f"them with `taskmark backbones lock {' '.join(unresolved)}`, or lay files of these "
            "names, such as "
            f"{unresolved[0]}.safetensors, into the folder that TASKMARK_BACKBONES names)"
        )
    if absent:
        parts.append(
            f"the weights of {', '.join(absent)} are missing (get them with `taskmark backbones "
            f"fetch {' '.join(absent)}`)"
        )
    return parts


def _within(error: TaskmarkError) -> str:
    """A sentence as a part of another."""
    text = str(error).removesuffix(".")
    return text[0].lower() + text[1:]
