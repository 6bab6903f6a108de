"""A suite small enough for unit tests: clouds of points as images, and an encoder of two layers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from taskmark.suites.task_data import Split, TaskData
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TINY = """
name = "tiny"
version = "{version}"
summary = "A suite for unit tests."
provider = "tiny_provider"
default_backbones = ["plain"]

[tasks.hills]
sha256 = "{hills}"
[tasks.lakes]
sha256 = "{lakes}"
[tasks.woods]
sha256 = "{woods}"

[backbones.plain]
weights = "plain"
sha256 = "{plain}"
heads = "probed"
[backbones.worded]
weights = "worded"
sha256 = "{worded}"
heads = "zero-shot"

[protocol]
trials = 5
gradient_images = 960
probe_strengths = [0.01, 1.0]
batch_size = 64
standard = {{ learning_rate = 1e-2, weight_decay = 0.1, warmup = 0.1, clip_norm = 1.0, \
epochs = 3, batch_size = 32 }}
tangent = {{ learning_rate = 1e-2, weight_decay = 0.1, warmup = 0.1, clip_norm = 1.0, \
epochs = 3, batch_size = 32 }}

[protocol.disentanglement]
alphas = [-0.5, 0.0, 0.5, 1.0]
n_images = 40
pairs = [["hills", "lakes"], ["hills", "woods"]]
"""

SIDE = 4
CLASSES = ("north", "south", "east")
SIZES = {"train": 96, "validation": 60, "test": 90}


def task(name: str) -> TaskData:
    """Three clouds of pixels around centres that depend on the task's name."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    generator = np.random.default_rng(seed)
    centres = generator.integers(60, 196, size=(len(CLASSES), SIDE, SIDE, 3))
    splits = {}
    for split, n in SIZES.items():
        labels = generator.integers(0, len(CLASSES), size=n)
        noise = generator.integers(-60, 61, size=(n, SIDE, SIDE, 3))
        splits[split] = Split((centres[labels] + noise).astype(np.uint8), labels.astype(np.int64))
    return TaskData(CLASSES, ("a cloud in the {}",), **splits)


class Stem(nn.Module):
    """Pixels to numbers around zero, one row an image."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).float() / 128 - 1


class Encoder(nn.Module):
    """Two layers with a norm between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(SIDE * SIDE * 3, 16)
        self.norm = nn.LayerNorm(16)
        self.second = nn.Linear(16, 8)

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.second(torch.relu(self.norm(self.first(inputs))))
        return features


def backbone(weights: str) -> tuple[nn.Module, nn.Module]:
    """An encoder whose random weights depend on the name."""
    encoder = Encoder().eval()
    generator = torch.Generator().manual_seed(len(weights))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return Stem(), encoder


def weights_sha256(weights: str) -> str:
    """A hash of the name, since the weights follow from it."""
    return hashlib.sha256(weights.encode()).hexdigest()


def embed_prompts(_weights: str, prompts: Sequence[str]) -> Tensor:
    """Random directions that depend on the prompts alone."""
    rows = []
    for prompt in prompts:
        seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "big")
        rows.append(torch.randn(8, generator=torch.Generator().manual_seed(seed)))
    return nn.functional.normalize(torch.stack(rows), dim=-1)


def expert_weights(
    _weights: str,
    path: Path,
    *,
    ignore: Sequence[str] = (),  # noqa: ARG001 - the harness holds them against the encoder
) -> dict[str, Tensor]:
    """The tensors of a file, whatever they are."""
    return read_tensors(path)


def logit_scale(_weights: str) -> float:
    """Any fixed number."""
    return 10.0
