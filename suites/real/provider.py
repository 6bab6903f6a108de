"""What the real suites offer to the harness: data from the hub, and public backbones, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.suites.real import backbones, missing_files
from taskmark.suites.real.data import tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from taskmark.suites.task_data import Sizes, TaskData


def task(name: str) -> TaskData:
    """The data of a task, memory-mapped."""
    return tasks.load(name)


def backbone(weights: str) -> tuple[None, nn.Module]:
    """No stem, and the encoder, which takes uint8 images: all of it is tuned."""
    return None, backbones.load(weights)


def weights_sha256(weights: str) -> str:
    """The hash of the weights as they are on this machine."""
    return backbones.weights_sha256(weights)


def embed_prompts(weights: str, prompts: Sequence[str]) -> Tensor:
    """Text embeddings of unit length, [n, D]."""
    return backbones.embed_prompts(weights, prompts)


def logit_scale(weights: str) -> float:
    """What cosines are multiplied with."""
    return backbones.logit_scale(weights)


def expert_weights(weights: str, path: Path, *, ignore: Sequence[str] = ()) -> Mapping[str, Tensor]:
    """An expert that somebody else tuned, by the names of the encoder's parameters."""
    return backbones.expert_weights(weights, path, ignore=ignore)


def missing(names: Sequence[str], weights: Sequence[str]) -> str:
    """What of these tasks and weights is not on this machine, and how to get it."""
    return missing_files.missing(names, weights)


def sizes(name: str) -> Sizes | None:
    """How large a task is, as far as anything on this machine says so."""
    return missing_files.sizes(name)


def untrained(weights: str) -> nn.Module:
    """The encoder with random weights, for how long a pass takes."""
    return missing_files.untrained(weights)
