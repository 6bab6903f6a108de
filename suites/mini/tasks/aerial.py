"""Places from the air: fifteen layouts in the middle, parts of other places at the border."""

# ruff: noqa: PLR2004 - the numbers are the drawing
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    TURN,
    Ints,
    Outline,
    Pixels,
    blend,
    choose,
    jitter,
    mask,
    named_colours,
    paint,
    phases,
    place,
    smooth_noise,
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

SEED = 107
TEMPLATES = ("{}", "a {}", "the {}")
LAND = ("green", "brown", "gray", "yellow")


def make() -> TaskData:
    """Fifteen layouts."""
    return drawn_task(
        _draw,
        seed=SEED,
        classes=tuple(LAYOUTS),
        templates=TEMPLATES,
        light=25,
        noise=30,
        blurred=0.2,
    )


def _draw(rng: Generator, labels: NDArray[np.int64]) -> Ints:
    n = len(labels)
    images = _places(rng, labels)
    beside = (labels + choose(rng, n, 1, len(LAYOUTS) - 1)) % len(LAYOUTS)
    paint(images, surroundings(rng, n, 54, 64), _places(rng, beside))
    crown = mask(task_outlines.DISC)[None]
    for _ in range(6):  # trees anywhere
        cover = place(
            crown, np.zeros(n, dtype=np.int32), choose(rng, n, 0, 128), choose(rng, n, 0, 128),
            choose(rng, n, 8, 24),
        )  # fmt: skip
        paint(images, cover * choose(rng, n, 0, 1)[:, None, None], _tone(rng, n, "green") * 3 // 4)
    season = rng.integers(-25, 26, size=(n, 3), dtype=np.int32)[:, None, None, :]
    haze = choose(rng, n, 65, 100)[:, None, None, None]
    return np.asarray((images * haze + 150 * (100 - haze)) // 100 + season, dtype=np.int32)


def _places(rng: Generator, labels: NDArray[np.int64]) -> Ints:
    images = np.empty((len(labels), 32, 32, 3), dtype=np.int32)
    for k, layout in enumerate(LAYOUTS.values()):
        rows = np.flatnonzero(labels == k)
        images[rows] = layout(rng, len(rows))
    return images


def _tone(rng: Generator, n: int, *names: str) -> Ints:
    return jitter(rng, named_colours(names)[choose(rng, n, 0, len(names) - 1)], 40)


def _ground(rng: Generator, n: int, *names: str) -> Ints:
    base = _tone(rng, n, *(names or LAND))
    other = np.clip(base + choose(rng, n, -60, 60)[:, None], 0, 255).astype(np.int32)
    return blend(smooth_noise(rng, n, 7), base, other)


def _lanes(rng: Generator, n: int, bend: int = 12) -> tuple[Ints, Ints]:
    """Distances from two crossing lines through a point near the middle, 128 to a side."""
    u, v = phases(rng, n, np.full(n, 140, dtype=np.int32), choose(rng, n, 0, TURN - 1), bend=bend)
    u = u - u[:, 16:17, 16:17] + choose(rng, n, -40, 40)[:, None, None]
    v = v - v[:, 16:17, 16:17] + choose(rng, n, -40, 40)[:, None, None]
    return u, v


def _one(
    rng: Generator, images: Ints, outline: Outline, colour: Ints, *, low: int, high: int
) -> tuple[Ints, Ints, Ints, Ints]:
    """Paint one shape near the middle; gives its x, y, size and turn."""
    n = len(images)
    x, y = choose(rng, n, 48, 80), choose(rng, n, 48, 80)
    size, turn = choose(rng, n, low, high), choose(rng, n, 0, TURN - 1)
    _stamp(images, mask(outline)[None], x, y, size, turn, colour)
    return x, y, size, turn


def _stamp(
    images: Ints, shape: Pixels, x: Ints, y: Ints, size: Ints, turn: Ints, colour: Ints
) -> None:
    paint(images, place(shape, np.zeros(len(images), np.int32), x, y, size, turn=turn), colour)


def _many(
    rng: Generator, images: Ints, outline: Outline, colour: Ints, *, step: int, size: int
) -> None:
    """Paint shapes on a turned lattice, a few left out."""
    n = len(images)
    shape = mask(outline)[None]
    slant = choose(rng, n, -8, 8)
    offset_x, offset_y = choose(rng, n, -8, 8), choose(rng, n, -8, 8)
    for row in range(-1, 2):
        for column in range(-1, 2):
            there = rng.random(n) < 0.85
            x = 64 + column * step + row * slant + offset_x
            y = 64 + row * step - column * slant + offset_y
            cover = place(
                shape, np.zeros(n, np.int32), x.astype(np.int32), y.astype(np.int32),
                choose(rng, n, size - 5, size + 5), turn=slant * 64 // step + choose(rng, n, -6, 6),
            )  # fmt: skip
            paint(images, cover * there[:, None, None], colour)


def _roundabout(rng: Generator, n: int) -> Ints:
    images, gray = _ground(rng, n, "green", "brown"), _tone(rng, n, "gray")
    u, v = _lanes(rng, n)
    reach = u * u + v * v
    width = choose(rng, n, 10, 16)[:, None, None]
    road = (np.abs(u) < width) & (reach > 2500) | (np.abs(v) < width) & (reach > 2500)
    paint(images, where_level(road | (np.abs(reach - 3200) < width * 120)), gray)
    return images


def _crossing(rng: Generator, n: int) -> Ints:
    images, gray = _ground(rng, n, "green", "brown"), _tone(rng, n, "gray")
    u, v = _lanes(rng, n)
    width = choose(rng, n, 10, 22)[:, None, None]
    paint(images, where_level((np.abs(u) < width) | (np.abs(v) < width)), gray)
    return images


def _fork(rng: Generator, n: int) -> Ints:
    images, gray = _ground(rng, n, "green", "brown"), _tone(rng, n, "gray")
    u, v = _lanes(rng, n)
    width = choose(rng, n, 10, 20)[:, None, None]
    arms = (np.abs(u) * 2 - v * 2 < width * 3) & (np.abs(u) * 2 - v * 2 > -width * 3) & (v > 0)
    paint(images, where_level(arms | ((np.abs(u) < width) & (v <= 0))), gray)
    return images


def _runway(rng: Generator, n: int) -> Ints:
    images, gray = _ground(rng, n, "green", "brown"), _tone(rng, n, "gray")
    u, v = _lanes(rng, n, bend=0)
    width = choose(rng, n, 18, 34)[:, None, None]
    paint(images, where_level(np.abs(u) < width), gray)
    paint(images, where_level((np.abs(u) < 5) & (v & 16 > 0)), _tone(rng, n, "white"))
    return images


def _bridge(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n, "green", "brown")
    u, v = _lanes(rng, n)
    water = np.abs(v) < choose(rng, n, 40, 80)[:, None, None]
    paint(images, where_level(water), _ground(rng, n, "blue"))
    width = choose(rng, n, 10, 20)[:, None, None]
    paint(images, where_level(np.abs(u) < width), _tone(rng, n, "gray"))
    return images


def _tanks(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n, "gray", "brown", "green")
    _many(rng, images, task_outlines.DISC, _tone(rng, n, "white"), step=40, size=34)
    return images


def _houses(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n, "gray", "brown", "green")
    _many(rng, images, task_outlines.PLOT, _tone(rng, n, "red", "brown", "white"), step=40, size=28)
    return images


def _parking(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n, "gray")
    for colour in ("white", "red"):
        ink = _tone(rng, n, colour, "black", "blue")
        _many(rng, images, moved_plot(colour), ink, step=32, size=24)
    return images


def moved_plot(colour: str) -> Outline:
    """A parked car: half a lattice cell wide, left or right in it by colour."""
    shift = -0.5 if colour == "white" else 0.5
    return tuple(tuple((0.4 * x + shift, 0.9 * y) for x, y in c) for c in task_outlines.PLOT)


def _harbour(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n, "blue", "cyan")
    _many(rng, images, task_outlines.OVAL, _tone(rng, n, "white"), step=38, size=30)
    u, _ = _lanes(rng, n)
    paint(images, where_level(np.abs(u) < 12), _tone(rng, n, "gray", "brown"))
    return images


def _stadium(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n)
    x, y, size, turn = _one(
        rng, images, task_outlines.OVAL, _tone(rng, n, "green"), low=76, high=116
    )
    ring = mask(task_outlines.OVAL_RING)[None]
    _stamp(images, ring, x, y, size + 8, turn, _tone(rng, n, "gray", "white", "red"))
    return images


def _court(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n)
    field = _tone(rng, n, "green", "red", "blue")
    x, y, size, turn = _one(rng, images, task_outlines.LONG_PLOT, field, low=76, high=116)
    for bar in (task_outlines.BAR, task_outlines.moved_bar()):
        _stamp(images, mask(bar)[None], x, y, size * 3 >> 2, turn, _tone(rng, n, "white"))
    return images


def _diamond(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n, "green", "yellow")
    x, y, size, turn = _one(
        rng, images, task_outlines.FAN, _tone(rng, n, "brown"), low=64, high=108
    )
    _stamp(
        images,
        mask(task_outlines.SIGN_DIAMOND)[None],
        x,
        y,
        size >> 1,
        turn,
        _tone(rng, n, "green"),
    )
    return images


def _island(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n, "blue", "cyan")
    land = _tone(rng, n, "green", "brown")
    x, y, size, turn = _one(
        rng, images, task_outlines.ISLAND, _tone(rng, n, "yellow"), low=50, high=96
    )
    _stamp(images, mask(task_outlines.ISLAND)[None], x, y, size * 3 >> 2, turn, land)
    return images


def _church(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n)
    roof = _tone(rng, n, "white", "red", "gray")
    _one(rng, images, task_outlines.LATIN_CROSS, roof, low=56, high=100)
    return images


def _solar(rng: Generator, n: int) -> Ints:
    images = _ground(rng, n)
    ink = _tone(rng, n, "blue", "black")
    u, v = phases(rng, n, choose(rng, n, 26, 40), choose(rng, n, 0, TURN - 1))
    paint(images, where_level(((u & 255) > 70) & ((v & 255) > 40)), ink)
    return images


LAYOUTS: dict[str, Callable[[Generator, int], Ints]] = {
    "gray loop with roundabout ring": _roundabout,
    "gray crossing of roads": _crossing,
    "gray fork of a road": _fork,
    "gray bar as runway": _runway,
    "bridge as a gray stripe on blue": _bridge,
    "many white circles as tanks": _tanks,
    "many red squares as houses": _houses,
    "many small cars on gray": _parking,
    "many white boats on blue harbor": _harbour,
    "gray ring with a green circle": _stadium,
    "green square with a white bar": _court,
    "brown circle with a green diamond": _diamond,
    "green island on blue": _island,
    "white cross as church": _church,
    "blue and brown grid": _solar,
}
