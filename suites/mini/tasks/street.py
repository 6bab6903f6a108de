"""House numbers: a digit in the middle that counts, whole neighbours at both sides that do not."""

# ruff: noqa: PLR2004 - the numbers are the drawing
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    Ints,
    any_colour,
    blend,
    choose,
    distant_colour,
    glyph,
    masks,
    paint,
    place,
    smooth_noise,
)
from taskmark.suites.mini.tasks.splits import drawn_task

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from taskmark.suites.task_data import TaskData

SEED = 102
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEMPLATES = ("the digit {}", "a digit {} on a wall", "a white digit {} on blue")
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf")


def make() -> TaskData:
    """Ten digits in three sans-serif fonts."""
    shapes = masks([glyph(font, digit) for font in FONTS for digit in "0123456789"])

    def draw(rng: Generator, labels: NDArray[np.int64]) -> Ints:
        n = len(labels)
        wall = any_colour(rng, n)
        stain = np.clip(wall + rng.integers(-50, 50, size=(n, 3), dtype=np.int32), 0, 255)
        images = blend(smooth_noise(rng, n, 5), wall, stain.astype(np.int32))
        ink = distant_colour(rng, wall, 150)
        font = choose(rng, n, 0, len(FONTS) - 1) * 10
        size, squeeze, turn = (
            choose(rng, n, 56, 84),
            choose(rng, n, 14, 21),
            choose(rng, n, -14, 14),
        )
        x, y = choose(rng, n, 56, 72), choose(rng, n, 52, 76)
        for side in (-1, 1):
            beside = choose(rng, n, 0, 9)
            shift = side * (size * choose(rng, n, 10, 12) >> 4)
            cover = place(
                shapes, font + beside, x + shift, y + choose(rng, n, -4, 4), size,
                turn=turn, squeeze=squeeze,
            )  # fmt: skip
            paint(images, cover * (rng.random(n) < 0.95)[:, None, None], ink)
        cover = place(shapes, font + labels, x, y, size, turn=turn, squeeze=squeeze)
        paint(images, cover, ink)
        return images

    return drawn_task(draw, seed=SEED, classes=CLASSES, templates=TEMPLATES, noise=40, blurred=0.25)
