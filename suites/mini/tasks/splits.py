"""Three splits from three independent streams, without an image that two of them share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    Ints,
    Pixels,
    balanced_labels,
    blur,
    choose,
    lighting,
    speckle,
    stream,
    to_pixels,
)
from taskmark.suites.task_data import Split, TaskData

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

SIZES = {"train": 1500, "validation": 500, "test": 1200}


def drawn_task(
    draw: Callable[[Generator, NDArray[np.int64]], Ints],
    *,
    seed: int,
    classes: tuple[str, ...],
    templates: tuple[str, ...],
    light: int = 35,
    noise: int = 60,
    blurred: float = 0.35,
) -> TaskData:
    """A task whose images a function draws from random numbers and labels.

    Args:
        draw: (random numbers, labels [N]) -> images [N, 32, 32, 3] before lighting and noise.
        seed: of the task.
        classes: names in label order.
        templates: prompts with one `{}` each.
        light: largest smooth change of brightness, in percent.
        noise: largest amount of pixel noise.
        blurred: share of blurred images.
    """
    parts = []
    for number, n_images in enumerate(SIZES.values()):
        rng = stream(seed, number)
        labels = balanced_labels(rng, n_images, len(classes))
        images = draw(rng, labels)
        lighting(rng, images, light)
        blur(images, rng.random(n_images) < blurred)
        speckle(rng, images, choose(rng, n_images, 0, noise))
        parts.append((to_pixels(images), labels))
    return TaskData(classes, templates, *disjoint(parts))


def disjoint(parts: list[tuple[Pixels, NDArray[np.int64]]]) -> list[Split]:
    """Splits without images that occur earlier, in the same split or in one before it."""
    seen: set[bytes] = set()
    splits = []
    for images, labels in parts:
        kept = []
        for k, image in enumerate(images):
            content = image.tobytes()
            if content not in seen:
                seen.add(content)
                kept.append(k)
        splits.append(Split(np.ascontiguousarray(images[kept]), labels[kept]))
    return splits


def digest(split: Split) -> str:
    """SHA-256 over shape, pixels and labels of a split."""
    found = hashlib.sha256(repr(split.images.shape).encode())
    found.update(np.ascontiguousarray(split.images).tobytes())
    found.update(split.labels.astype("<i8").tobytes())
    return found.hexdigest()
