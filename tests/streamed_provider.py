"""A suite whose images lie in files outside of the store, and whose encoder freezes nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from tiny_provider import CLASSES, SIZES, embed_prompts, logit_scale, weights_sha256
from torch import Tensor, nn
from torch.nn import functional

from taskmark.suites.real.data.arrays import Arrays, default_folder, digest
from taskmark.suites.task_data import Split, TaskData

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["backbone", "embed_prompts", "logit_scale", "task", "weights_sha256"]

SIDES = {"hills": 4, "lakes": 8, "woods": 4}
IN_MEMORY = "in memory"
"""A marker in the folder of decoded data: nothing is to be read from files there."""


def task(name: str) -> TaskData:
    """Three clouds of pixels around centres that depend on the task's name."""
    side = SIDES[name]
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    generator = np.random.default_rng(seed)
    centres = generator.integers(60, 196, size=(len(CLASSES), 3, side, side))
    splits = {}
    for split, n in SIZES.items():
        labels = generator.integers(0, len(CLASSES), size=n)
        noise = generator.integers(-60, 61, size=(n, 3, side, side))
        images = (centres[labels] + noise).astype(np.uint8)
        splits[split] = _split(Arrays(images, labels.astype(np.int64)), folder_of(name), split)
    return TaskData(CLASSES, ("a cloud in the {}",), **splits)


def folder_of(name: str) -> Path:
    """Where the images of a task lie, named as those of the real suites are."""
    return default_folder() / f"{name}-{'0' * 12}-{SIDES[name]}"


def _split(arrays: Arrays, folder: Path, split: str) -> Split:
    if (default_folder() / IN_MEMORY).exists():
        return Split(np.ascontiguousarray(arrays.images.transpose(0, 2, 3, 1)), arrays.labels)
    folder.mkdir(parents=True, exist_ok=True)
    if not (file := folder / f"{split}.npy").exists():
        np.save(file, arrays.images)
    mapped = np.lib.format.open_memmap(file, mode="r")
    return Split(mapped.transpose(0, 2, 3, 1), arrays.labels, file, digest(arrays))


class Encoder(nn.Module):
    """Bytes of any side, brought to one size and around zero, then two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("middle", torch.tensor(128.0))
        self.first = nn.Linear(48, 16)
        self.second = nn.Linear(16, 8)

    def forward(self, images: Tensor) -> Tensor:
        pixels = functional.adaptive_avg_pool2d((images.float() - self.middle) / 64, 4)
        features: Tensor = self.second(torch.relu(self.first(pixels.flatten(1))))
        return features


def backbone(weights: str) -> tuple[None, nn.Module]:
    """An encoder whose random weights depend on the name."""
    encoder = Encoder().eval()
    generator = torch.Generator().manual_seed(len(weights))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return None, encoder
