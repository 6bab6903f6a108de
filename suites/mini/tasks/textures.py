"""Textures: sixteen patterns in any two colours, bent and faint, another one in the corners."""

# ruff: noqa: PLR2004 - the numbers are the drawing
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    ANGLE,
    SIDE,
    SINE,
    TURN,
    Ints,
    any_colour,
    blend,
    choose,
    distant_colour,
    phases,
    smooth_noise,
    tooth,
    wave,
    where_level,
)
from taskmark.suites.mini.tasks.splits import drawn_task
from taskmark.suites.mini.tasks.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from taskmark.suites.task_data import TaskData

SEED = 105
TEMPLATES = ("a {} pattern", "{}", "a coarse {} pattern", "a fine {} pattern")


def make() -> TaskData:
    """Sixteen textures."""
    return drawn_task(
        _draw,
        seed=SEED,
        classes=tuple(TEXTURES),
        templates=TEMPLATES,
        light=25,
        noise=20,
        blurred=0.1,
    )


def _draw(rng: Generator, labels: NDArray[np.int64]) -> Ints:
    n = len(labels)
    level = _levels(rng, labels)
    beside = _levels(rng, (labels + choose(rng, n, 1, len(TEXTURES) - 1)) % len(TEXTURES))
    level += (beside - level) * surroundings(rng, n, 70, 84) // 255
    first = any_colour(rng, n)
    second = distant_colour(rng, first, 240)
    fade = choose(rng, n, 190, 255)[:, None, None]
    veil = smooth_noise(rng, n, 4)
    return blend((level * fade + veil * (255 - fade)) >> 8, first, second)


def _levels(rng: Generator, labels: NDArray[np.int64]) -> Ints:
    level = np.empty((len(labels), SIDE, SIDE), dtype=np.int32)
    for k, texture in enumerate(TEXTURES.values()):
        rows = np.flatnonzero(labels == k)
        level[rows] = texture(rng, choose(rng, len(rows), 28, 56))
    return level


def _level(value: Ints) -> Ints:
    return np.asarray(np.clip(value, 0, 255), dtype=np.int32)


def _field(rng: Generator, period: Ints, bend: int = 60) -> tuple[Ints, Ints]:
    return phases(rng, len(period), period, choose(rng, len(period), 0, TURN - 1), bend=bend)


def _striped(rng: Generator, period: Ints) -> Ints:
    u, _ = _field(rng, period, 110)
    return (wave(u) + (wave(2 * u + 40) >> 1)) * 170 >> 8


def _checked(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period)
    return where_level(((u ^ v) & 128) > 0)


def _dotted(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period)
    u, v = (u & 255) - 128, (v & 255) - 128
    return where_level(u * u + v * v < choose(rng, len(period), 50, 90)[:, None, None] ** 2)


def _zigzag(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period)
    return tooth(u + np.abs((v & 255) - 128) * 2)


def _wavy(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period)
    return wave(u + (SINE[(v >> 1) & 255] >> 3))


def _grid(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period)
    lines = np.maximum(0, tooth(u) - 170) + np.maximum(0, tooth(v) - 170)
    return _level(lines * 3)


def _bricked(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period * 2, 25)
    v = v * 2
    u = u + ((v >> 8) & 1) * 128
    brick = np.minimum(tooth(u + 128), tooth(v + 128)) * 5
    return _level(np.minimum(brick, 255 - (((v >> 8) & 1) * 60)))


def _spiral(rng: Generator, period: Ints) -> Ints:
    distance, direction = _polar(rng, len(period))
    arms = choose(rng, len(period), 1, 2)[:, None, None]
    return wave(distance * 256 // period[:, None, None] + direction * arms)


def _ringed(rng: Generator, period: Ints) -> Ints:
    distance, _ = _polar(rng, len(period))
    return wave(distance * 256 // period[:, None, None])


def _rayed(rng: Generator, period: Ints) -> Ints:
    distance, direction = _polar(rng, len(period))
    rays = choose(rng, len(period), 5, 10)[:, None, None]
    return wave(direction * rays + (distance >> 1))


def _noisy(rng: Generator, period: Ints) -> Ints:
    n = len(period)
    grain = rng.integers(0, 256, size=(n, SIDE, SIDE), dtype=np.int32)
    grain = np.where((period > 36)[:, None, None], (grain + np.roll(grain, 1, 1)) >> 1, grain)
    return where_level(grain > 150)


def _blotched(rng: Generator, period: Ints) -> Ints:
    n = len(period)
    field = (smooth_noise(rng, n, 7) + smooth_noise(rng, n, 11)) >> 1
    cut = choose(rng, n, 105, 150)[:, None, None]
    return _level((field - cut) * 9 + 128)


def _woven(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period, 40)
    over = (((u >> 7) + (v >> 7)) & 1).astype(np.bool_)
    return np.where(over, tooth(2 * u + 128), tooth(2 * v + 128) * 3 >> 2)


def _cracked(rng: Generator, period: Ints) -> Ints:
    n = len(period)
    places = rng.integers(-16, 144, size=(n, 26, 2), dtype=np.int32)
    return _borders(places)


def _honeycombed(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period * 5 >> 2, 30)
    nearest = np.full(u.shape, 1024, dtype=np.int32)
    second = nearest.copy()
    for near in range(-1, 3):  # rows of cells 222 apart, every second one moved by half a cell
        row = v // 222 + near
        y = v - 222 * row
        x = np.abs(((u - 128 * (row & 1) + 128) & 255) - 128)
        for reach in (x, 256 - x):
            distance = np.sqrt((reach * reach + y * y).astype(np.float64)).astype(np.int32)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return _level((second - nearest) * 6)


def _scaly(rng: Generator, period: Ints) -> Ints:
    u, v = _field(rng, period, 25)
    best = np.zeros(u.shape, dtype=np.int32)
    for row in range(3):  # each row of discs covers the one above
        y = (v & 127) + 128 * (row - 1)
        x = ((u + ((v >> 7) - row) % 2 * 128) & 255) - 128
        reach = np.sqrt((x * x + y * y).astype(np.float64)).astype(np.int32)
        best = np.where(reach < 150, 255 - reach, best)
    return _level((best - 90) * 2)


def _polar(rng: Generator, n: int) -> tuple[Ints, Ints]:
    """Distance (quarter pixels) and direction (turns of 1/256) from a point, [N, 32, 32]."""
    axis = np.arange(SIDE, dtype=np.int32) * 4 + 2
    field = (smooth_noise(rng, n, 3) - 128) >> 4
    x = axis[None, None, :] - choose(rng, n, 30, 98)[:, None, None] + field
    y = axis[None, :, None] - choose(rng, n, 30, 98)[:, None, None] + field
    distance = np.sqrt((x * x + y * y).astype(np.float64)).astype(np.int32)
    direction = ANGLE[np.clip(y >> 1, -64, 64) + 64, np.clip(x >> 1, -64, 64) + 64]
    return distance, direction


def _borders(places: Ints) -> Ints:
    """Levels that fall to 0 where two places [N, K, 2] are equally near."""
    axis = np.arange(SIDE, dtype=np.int32) * 4 + 2
    nearest = np.full((len(places), SIDE, SIDE), 255, dtype=np.int32)
    second = nearest.copy()
    for k in range(places.shape[1]):
        x = axis[None, None, :] - places[:, k, 0, None, None]
        y = axis[None, :, None] - places[:, k, 1, None, None]
        distance = np.sqrt((x * x + y * y).astype(np.float64)).astype(np.int32)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return _level((second - nearest) * 40)


TEXTURES: dict[str, Callable[[Generator, Ints], Ints]] = {
    "striped": _striped,
    "checked": _checked,
    "dotted": _dotted,
    "zigzag": _zigzag,
    "wavy": _wavy,
    "grid": _grid,
    "bricked": _bricked,
    "spiral": _spiral,
    "ringed": _ringed,
    "rayed": _rayed,
    "noisy": _noisy,
    "blotched": _blotched,
    "woven crossed": _woven,
    "cracked with many forks": _cracked,
    "hexagon grid": _honeycombed,
    "scaly rows of circles": _scaly,
}
