"""Scenes: five things in four settings; the biggest counts, smaller ones stand behind."""

# ruff: noqa: PLR2004 - the numbers are the drawing
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    SIDE,
    Ints,
    any_colour,
    blend,
    choose,
    distant_colour,
    jitter,
    masks,
    named_colours,
    paint,
    place,
    smooth_noise,
    where_level,
)
from taskmark.suites.mini.tasks import task_outlines
from taskmark.suites.mini.tasks.splits import drawn_task

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from taskmark.suites.task_data import TaskData

SEED = 108
THINGS = {
    "house": task_outlines.HOUSE,
    "tree": task_outlines.TREE,
    "tower": task_outlines.TOWER,
    "mountain": task_outlines.MOUNTAIN,
    "boat": task_outlines.BOAT,
}
SETTINGS = (("blue", "green"), ("black", "blue"), ("gray", "white"), ("orange", "brown"))
"""Sky, ground: a meadow by day, water by night, snow, a desert at dusk."""
CLASSES = tuple(
    f"{thing} on {ground} ground under a {sky} sky" for sky, ground in SETTINGS for thing in THINGS
)
TEMPLATES = ("a {}", "the {}", "one {}")


def make() -> TaskData:
    """Twenty scenes."""
    things = masks(list(THINGS.values()))
    skies = named_colours([sky for sky, _ in SETTINGS])
    grounds = named_colours([ground for _, ground in SETTINGS])

    def draw(rng: Generator, labels: NDArray[np.int64]) -> Ints:
        n = len(labels)
        setting, thing = labels // len(THINGS), labels % len(THINGS)
        tint = rng.integers(-45, 46, size=(n, 3), dtype=np.int32)
        sky = np.clip(jitter(rng, skies[setting], 45) + tint, 0, 255).astype(np.int32)
        cloud = np.clip(sky + choose(rng, n, -70, 70)[:, None], 0, 255).astype(np.int32)
        images = blend(smooth_noise(rng, n, 4), sky, cloud)
        ground = np.clip(jitter(rng, grounds[setting], 45) + tint, 0, 255).astype(np.int32)
        soil = np.clip(ground + choose(rng, n, -80, 80)[:, None], 0, 255).astype(np.int32)
        hills = smooth_noise(rng, n, 3)[:, 16:17, :] >> 5  # 0..7 pixels
        below = np.arange(SIDE)[None, :, None] >= choose(rng, n, 10, 20)[:, None, None] + hills
        paint(images, where_level(below), blend(smooth_noise(rng, n, 10), ground, soil))
        for k in range(4):  # three bystanders, then the thing itself
            other = choose(rng, n, 0, len(THINGS) - 1) if k < 3 else thing
            size = choose(rng, n, 36, 50) if k < 3 else choose(rng, n, 76, 100)
            x = choose(rng, n, 4, 124) if k < 3 else choose(rng, n, 38, 90)
            y = choose(rng, n, 52, 84)
            cover = place(
                things,
                other,
                x,
                y,
                size,
                turn=choose(rng, n, -8, 8),
                squeeze=choose(rng, n, 12, 20),
            )
            paint(images, cover, distant_colour(rng, any_colour(rng, n) // 2 + ground // 2, 160))
        return images

    return drawn_task(draw, seed=SEED, classes=CLASSES, templates=TEMPLATES, noise=40, blurred=0.2)
