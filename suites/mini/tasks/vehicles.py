"""Vehicles from the side: four bodies times three marks, and another one behind."""

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
    paint,
    place,
    rectangle,
    smooth_noise,
    where_level,
)
from taskmark.suites.mini.tasks import task_outlines
from taskmark.suites.mini.tasks.splits import drawn_task

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from taskmark.suites.task_data import TaskData

    Index = NDArray[np.integer]

SEED = 106
BODIES = {
    "car": task_outlines.CAR,
    "van": task_outlines.VAN,
    "truck": task_outlines.TRUCK,
    "bus": task_outlines.BUS,
}
MARKS = {
    "bar": rectangle(-0.95, -0.22, 0.95, 0.22),
    "cross": task_outlines.CROSS,
    "ring": task_outlines.RING,
}
CLASSES = tuple(f"{body} with a {mark}" for body in BODIES for mark in MARKS)
TEMPLATES = ("a {}", "a blue {}", "one big {}")


def make() -> TaskData:
    """Twelve vehicles."""
    bodies, marks = masks(list(BODIES.values())), masks([*MARKS.values(), task_outlines.PLOT])

    def drive(
        rng: Generator, images: Ints, kind: Index, x: Ints, y: Ints, size: Ints, wall: Ints
    ) -> None:
        n = len(images)
        body, mark = kind // len(MARKS), kind % len(MARKS)
        squeeze, turn = choose(rng, n, 14, 19), choose(rng, n, -6, 6)
        colour = distant_colour(rng, wall, 200)
        # Half of the vehicles drive to the left: a mirrored image, with the mark drawn on it.
        cover = place(bodies, body, x, y, size, turn=turn, squeeze=squeeze)
        mirrored = rng.random(n) < 0.5
        cover[mirrored] = cover[mirrored, :, ::-1]
        x = np.where(mirrored, 4 * SIDE - x, x).astype(np.int32)
        turn = np.where(mirrored, -turn, turn).astype(np.int32)
        paint(images, cover, colour)
        cover = place(
            marks, mark, x + choose(rng, n, -8, 0), y + (size >> 5),
            size * choose(rng, n, 7, 8) >> 4,
            turn=turn,
        )  # fmt: skip
        paint(images, cover, distant_colour(rng, colour, 260))

    def draw(rng: Generator, labels: NDArray[np.int64]) -> Ints:
        n = len(labels)
        wall = any_colour(rng, n)
        images = blend(smooth_noise(rng, n, 5), wall, jitter(rng, wall, 60))
        for _ in range(2):  # houses behind
            cover = place(
                marks, np.full(n, len(MARKS)), choose(rng, n, 0, 128), choose(rng, n, 20, 60),
                choose(rng, n, 20, 60), squeeze=choose(rng, n, 8, 40),
            )  # fmt: skip
            paint(images, cover, jitter(rng, wall, 90))
        street = choose(rng, n, 19, 26)[:, None, None]
        below = np.arange(SIDE)[None, :, None] >= street + np.zeros((1, 1, SIDE), dtype=np.int32)
        gray = choose(rng, n, 50, 150)[:, None] + rng.integers(-12, 12, size=(n, 3), dtype=np.int32)
        paint(images, where_level(below), gray.astype(np.int32))
        horizon = street[:, 0, 0] * 4
        for _ in range(1):  # vehicles farther off, which do not count
            drive(
                rng, images, choose(rng, n, 0, len(CLASSES) - 1), choose(rng, n, 0, 128),
                (horizon - choose(rng, n, 12, 30)).astype(np.int32), choose(rng, n, 44, 64), wall,
            )  # fmt: skip
        size = choose(rng, n, 104, 128)
        y = (horizon - (size >> 3) + choose(rng, n, 4, 14)).astype(np.int32)
        drive(rng, images, labels, choose(rng, n, 52, 76), y, size, wall)
        return images

    return drawn_task(draw, seed=SEED, classes=CLASSES, templates=TEMPLATES, noise=30, blurred=0.1)
