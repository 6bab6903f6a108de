"""Land cover from space: the ground in the middle, which borders on another kind of ground."""

# ruff: noqa: PLR2004 - the numbers are the drawing
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    TURN,
    Ints,
    blend,
    choose,
    jitter,
    masks,
    named_colours,
    paint,
    phases,
    place,
    smooth_noise,
    tooth,
    wave,
    where_level,
)
from taskmark.suites.mini.tasks import task_outlines
from taskmark.suites.mini.tasks.splits import drawn_task
from taskmark.suites.mini.tasks.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from taskmark.suites.task_data import TaskData

SEED = 104
TEMPLATES = ("{}", "a photo of {}", "a picture of {}")


def make() -> TaskData:
    """Ten kinds of ground."""
    return drawn_task(
        _draw,
        seed=SEED,
        classes=tuple(COVERS),
        templates=TEMPLATES,
        light=25,
        noise=30,
        blurred=0.2,
    )


def _draw(rng: Generator, labels: NDArray[np.int64]) -> Ints:
    n = len(labels)
    images = _patches(rng, labels)
    beside = (labels + choose(rng, n, 1, len(COVERS) - 1)) % len(COVERS)
    paint(images, surroundings(rng, n, 50, 58), _patches(rng, beside))
    season = rng.integers(-25, 26, size=(n, 3), dtype=np.int32)[:, None, None, :]
    haze = choose(rng, n, 75, 100)[:, None, None, None]
    return np.asarray((images * haze + 150 * (100 - haze)) // 100 + season, dtype=np.int32)


def _patches(rng: Generator, labels: NDArray[np.int64]) -> Ints:
    images = np.empty((len(labels), 32, 32, 3), dtype=np.int32)
    for k, cover in enumerate(COVERS.values()):
        rows = np.flatnonzero(labels == k)
        images[rows] = cover(rng, len(rows))
    return images


def _tone(rng: Generator, n: int, *names: str) -> Ints:
    """A palette colour from the given ones, moved at random."""
    return jitter(rng, named_colours(names)[choose(rng, n, 0, len(names) - 1)], 35)


def _soil(rng: Generator, n: int, *names: str, cells: int = 6, contrast: int = 40) -> Ints:
    base = _tone(rng, n, *names)
    other = np.clip(base + choose(rng, n, -contrast, contrast)[:, None], 0, 255).astype(np.int32)
    return blend(smooth_noise(rng, n, cells), base, other)


def _lanes(rng: Generator, n: int, *, low: int, high: int, bend: int) -> tuple[Ints, Ints]:
    return phases(rng, n, choose(rng, n, low, high), choose(rng, n, 0, TURN - 1), bend=bend)


def _through(rng: Generator, n: int, *, bend: int) -> tuple[Ints, Ints]:
    """Coordinates across and along one line that passes near the middle."""
    u, v = _lanes(rng, n, low=150, high=200, bend=bend)
    return u - u[:, 16:17, 16:17] + choose(rng, n, -30, 30)[:, None, None], v


def _forest(rng: Generator, n: int) -> Ints:
    base = _tone(rng, n, "green")
    field = (smooth_noise(rng, n, 13) + smooth_noise(rng, n, 8)) >> 1
    return blend(np.clip((field - 90) * 4, 0, 255).astype(np.int32), base // 3, base)


def _crops(rng: Generator, n: int) -> Ints:
    u, _ = _lanes(rng, n, low=14, high=30, bend=30)
    return blend(wave(u), _tone(rng, n, "green", "yellow"), _tone(rng, n, "brown", "green"))


def _orchard(rng: Generator, n: int) -> Ints:
    images = _soil(rng, n, "brown", "green", "yellow")
    u, v = _lanes(rng, n, low=18, high=32, bend=20)
    u, v = (u & 255) - 128, (v & 255) - 128
    paint(images, where_level(u * u + v * v < 5500), _tone(rng, n, "green") * 2 // 3)
    return images


def _town(rng: Generator, n: int) -> Ints:
    u, v = _lanes(rng, n, low=22, high=40, bend=25)
    roof = np.minimum(tooth(u + 128), tooth(v + 128))
    images = _soil(rng, n, "gray", "green")
    ink = _tone(rng, n, "orange", "red", "white", "brown")
    there = smooth_noise(rng, n, 9) > 70
    paint(images, where_level((roof > 105) & there), ink)
    return images


def _industry(rng: Generator, n: int) -> Ints:
    images = _soil(rng, n, "gray", "brown")
    turn = choose(rng, n, 0, TURN - 1)
    plots = masks([task_outlines.PLOT])
    for _ in range(4):
        cover = place(
            plots, np.zeros(n, dtype=np.int32), choose(rng, n, 8, 120), choose(rng, n, 8, 120),
            choose(rng, n, 28, 60), turn=turn, squeeze=choose(rng, n, 6, 16),
        )  # fmt: skip
        paint(images, cover, _tone(rng, n, "white", "gray", "cyan"))
    return images


def _lake(rng: Generator, n: int) -> Ints:
    images = _soil(rng, n, "blue", cells=3, contrast=30)
    shore = smooth_noise(rng, n, 2) > choose(rng, n, 150, 230)[:, None, None]
    paint(images, where_level(shore), _soil(rng, n, "green", "brown"))
    return images


def _river(rng: Generator, n: int) -> Ints:
    images = _soil(rng, n, "green", "brown")
    u, _ = _through(rng, n, bend=90)
    paint(images, where_level(np.abs(u) < 22), _tone(rng, n, "blue", "cyan"))
    return images


def _highway(rng: Generator, n: int) -> Ints:
    images = _soil(rng, n, "green", "brown")
    u, v = _through(rng, n, bend=25)
    middle = np.abs(u)
    paint(images, where_level(middle < 26), _tone(rng, n, "gray"))
    paint(images, where_level((middle < 5) & (v & 16 > 0)), _tone(rng, n, "white"))
    return images


def _pasture(rng: Generator, n: int) -> Ints:
    images = _soil(rng, n, "green", "yellow", cells=3, contrast=60)
    plots = _soil(rng, n, "green", cells=2)
    u, _ = _lanes(rng, n, low=150, high=250, bend=60)
    paint(images, where_level(u & 128 > 0), plots)
    return images


def _desert(rng: Generator, n: int) -> Ints:
    base = _tone(rng, n, "yellow", "brown", "orange")
    u, _ = _lanes(rng, n, low=24, high=60, bend=160)
    return blend(wave(u), base * 3 // 4, base)


COVERS: dict[str, Callable[[Generator, int], Ints]] = {
    "blotched green forest": _forest,
    "striped green crops": _crops,
    "dotted orchard of many green circles": _orchard,
    "town grid of many orange squares": _town,
    "industry with big white bars on gray": _industry,
    "blue lake under green": _lake,
    "river as a blue wave on green": _river,
    "highway as a gray stripe on green": _highway,
    "fading green pasture": _pasture,
    "wavy yellow desert": _desert,
}
