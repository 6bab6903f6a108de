"""What `mini` offers to the harness: its data and its backbones, by name."""

from __future__ import annotations

import hashlib
import importlib.resources
import math
from typing import TYPE_CHECKING

from taskmark.contract.foreign_weights import fit_weights
from taskmark.suites.mini import architecture, tasks, text_tower
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from taskmark.suites.task_data import TaskData


JOINT_TRAINING = frozenset(
    {
        "mini",
        "mini-stress-2-tasks",
        "mini-stress-4-tasks",
        "mini-stress-norms",
        "mini-stress-smoothing",
    }
)
"""The suites on these data whose runs tune one model on all tasks, too: it takes seconds."""


def task(name: str) -> TaskData:
    """The data of a task."""
    return tasks.load(name)


def backbone(weights: str) -> tuple[architecture.Stem, architecture.Encoder]:
    """The frozen stem and the encoder, with the weights that are shipped."""
    return architecture.load(weights)


def weights_sha256(weights: str) -> str:
    """The hash of the file of weights as it is here; empty if there is none."""
    file = importlib.resources.files("taskmark.suites.mini") / "weights" / f"{weights}.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def embed_prompts(weights: str, prompts: Sequence[str]) -> Tensor:
    """Text embeddings of unit length, [n, D]."""
    return text_tower.embed_prompts(weights, prompts)


def logit_scale(weights: str) -> float:
    """What cosines are multiplied with."""
    return math.exp(text_tower.logit_scale(weights))


def expert_weights(weights: str, path: Path, *, ignore: Sequence[str] = ()) -> Mapping[str, Tensor]:
    """A fine-tuned checkpoint by the names of the encoder's parameters, all of them.

    Raises:
        TaskmarkError: if the file cannot be read or is not an expert of the backbone.
    """
    wanted = backbone(weights)[1].named_parameters()
    return fit_weights(
        read_tensors(path),
        {name: parameter.shape for name, parameter in wanted},
        what=f"the file {str(path)!r}",
        of=f"the backbone {weights!r}",
        ignore=ignore,
    )
