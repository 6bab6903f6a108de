"""Traffic signs: five plates times four symbols, askew, badly lit, other signs behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    Ints,
    any_colour,
    blend,
    choose,
    jitter,
    masks,
    named_colours,
    paint,
    place,
    smooth_noise,
)
from taskmark.suites.mini.tasks import task_outlines
from taskmark.suites.mini.tasks.splits import drawn_task

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from taskmark.suites.task_data import TaskData

    Index = NDArray[np.integer]

SEED = 103
PLATES = {
    "red circle": (task_outlines.SIGN_DISC, "red", "white", "black"),
    "red triangle": (task_outlines.SIGN_TRIANGLE, "red", "white", "black"),
    "blue square": (task_outlines.SIGN_SQUARE, "blue", "blue", "white"),
    "yellow diamond": (task_outlines.SIGN_DIAMOND, "black", "yellow", "black"),
    "red octagon": (task_outlines.SIGN_OCTAGON, "white", "red", "white"),
}
"""Outline, colours of rim, face and symbol."""
SYMBOLS = {
    "arrow": task_outlines.ARROW,
    "cross": task_outlines.CROSS,
    "bar": task_outlines.BAR,
    "bolt": task_outlines.BOLT,
}
CLASSES = tuple(
    f"{plate} with a {ink} {symbol}"
    for plate, (_, _, _, ink) in PLATES.items()
    for symbol in SYMBOLS
)
TEMPLATES = ("a {}", "the {}", "a {} on gray")


def make() -> TaskData:
    """Twenty signs."""
    plates = masks([plate for plate, _, _, _ in PLATES.values()])
    symbols = masks([*SYMBOLS.values(), task_outlines.PLOT])
    rim = named_colours([rim for _, rim, _, _ in PLATES.values()])
    face = named_colours([face for _, _, face, _ in PLATES.values()])
    ink = named_colours([ink for _, _, _, ink in PLATES.values()])

    def post(
        rng: Generator, images: Ints, plate: Index, symbol: Index, x: Ints, y: Ints, size: Ints
    ) -> None:
        n = len(images)
        turn, squeeze = choose(rng, n, -16, 16), choose(rng, n, 13, 19)
        cover = place(plates, plate, x, y, size, turn=turn, squeeze=squeeze)
        paint(images, cover, jitter(rng, rim[plate], 50))
        cover = place(plates, plate, x, y, size * 13 >> 4, turn=turn, squeeze=squeeze)
        paint(images, cover, jitter(rng, face[plate], 50))
        low = np.where(plate == 1, size >> 4, 0)  # a triangle's symbol sits lower
        cover = place(
            symbols, symbol, x, (y + low).astype(np.int32), size * choose(rng, n, 8, 9) >> 4,
            turn=turn + choose(rng, n, -8, 8), squeeze=squeeze,
        )  # fmt: skip
        paint(images, cover, jitter(rng, ink[plate], 50))

    def draw(rng: Generator, labels: NDArray[np.int64]) -> Ints:
        n = len(labels)
        images = blend(smooth_noise(rng, n, 7), any_colour(rng, n), any_colour(rng, n))
        for _ in range(3):  # clutter
            cover = place(
                symbols, np.full(n, len(SYMBOLS)), choose(rng, n, 0, 128), choose(rng, n, 0, 128),
                choose(rng, n, 10, 50), turn=choose(rng, n, 0, 255), squeeze=choose(rng, n, 4, 30),
            )  # fmt: skip
            paint(images, cover, any_colour(rng, n))
        for _ in range(4):  # other signs farther off, which do not count
            post(
                rng, images,
                choose(rng, n, 0, len(PLATES) - 1), choose(rng, n, 0, len(SYMBOLS) - 1),
                choose(rng, n, 0, 128), choose(rng, n, 0, 128), choose(rng, n, 52, 76),
            )  # fmt: skip
        x, y = choose(rng, n, 52, 76), choose(rng, n, 52, 76)
        post(rng, images, labels // len(SYMBOLS), labels % len(SYMBOLS), x, y,
             choose(rng, n, 82, 102))  # fmt: skip
        images *= choose(rng, n, 75, 110)[:, None, None, None]  # dusk
        images //= 100
        return images

    return drawn_task(draw, seed=SEED, classes=CLASSES, templates=TEMPLATES, noise=30, blurred=0.2)
