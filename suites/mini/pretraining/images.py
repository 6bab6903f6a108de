"""The pre-training images: six families with their factors, drawn in blocks from one seed each."""

# ruff: noqa: PLR2004 - the numbers are the drawing
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import (
    PALETTE,
    SIDE,
    Ints,
    Pixels,
    blend,
    blur,
    choose,
    distant_colour,
    flat_colour,
    glyph,
    jitter,
    lighting,
    masks,
    named_colours,
    paint,
    phases,
    place,
    smooth_noise,
    speckle,
    stream,
    to_pixels,
    where_level,
)
from taskmark.suites.mini.pretraining.patterns import PATTERNS
from taskmark.suites.mini.pretraining.pretraining_outlines import FONTS, LETTERS, SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

SEED = 20_260_101
ABSENT = -1
VIEWS = 1000  # views are numbered from here, away from the streams of captions

COLOURS = tuple(PALETTE)
SIGNS = (*LETTERS, *"0123456789")
COUNTS = ("one", "two", "three", "four", "five", "many")
BANDS = ("stripe", "wave", "crossing", "corner", "rows", "loop", "fork")
SIZES = ("small", "big")

FACTORS: dict[str, int] = {
    "family": 6,
    "sign": len(SIGNS),
    "shape": len(SHAPES),
    "inner": len(SHAPES),
    "colour": len(COLOURS),
    "ground": len(COLOURS),
    "sky": len(COLOURS),
    "count": len(COUNTS),
    "size": len(SIZES),
    "pattern": len(PATTERNS),
    "band": len(BANDS),
}
"""What there is to say about an image, and in how many values."""


@dataclass(frozen=True, slots=True)
class Block:
    """Images with their factors.

    Attributes:
        images: [N, 32, 32, 3].
        factors: values by factor, [N] each, -1 where an image has none.
    """

    images: Pixels
    factors: dict[str, NDArray[np.int64]]


def block(
    number: int,
    *,
    n_images: int = 4096,
    digits: bool = False,
    seed: int = SEED,
    view: int | None = None,
) -> Block:
    """One block of the endless pre-training stream; the same number gives the same block.

    What is seen (the factors, the font) and how it is seen (pose, shades, background, light,
    noise) are drawn from two sources, so that the same things can be seen again.

    Args:
        number: which block.
        n_images: how many images it holds.
        digits: whether digits stand among the glyphs (named in captions only).
        seed: of the stream.
        view: blocks with the same number and other views show the same things seen anew; without
            one, both sources are the same.
    """
    what = stream(seed, number)
    how = what if view is None else stream(seed, number, VIEWS + view)
    weights = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5])
    family_of = np.sort(weights[what.integers(0, len(weights), size=n_images)], kind="stable")
    images = np.empty((n_images, SIDE, SIDE, 3), dtype=np.int32)
    factors = {name: np.full(n_images, ABSENT, dtype=np.int64) for name in FACTORS}
    factors["family"] = family_of.astype(np.int64)
    for family, draw in enumerate(_FAMILIES):
        rows = np.flatnonzero(family_of == family)
        options = {"digits": digits} if draw is _glyphs else {}
        drawn, found = draw(what, how, len(rows), **options)
        images[rows] = drawn
        for name, values in found.items():
            factors[name][rows] = values
    lighting(how, images, 30)
    blur(images, how.random(n_images) < 0.3)
    speckle(how, images, choose(how, n_images, 0, 60))
    order = np.argsort(what.random(n_images), kind="stable")
    return Block(to_pixels(images[order]), {name: v[order] for name, v in factors.items()})


@lru_cache(maxsize=1)
def _sign_masks() -> Pixels:
    """[fonts * signs, 64, 64]."""
    return masks([glyph(font, character) for font in FONTS for character in SIGNS])


@lru_cache(maxsize=1)
def _shape_masks() -> Pixels:
    return masks(list(SHAPES.values()))


def _two_colours(rng: Generator, n: int) -> tuple[Ints, Ints]:
    first = choose(rng, n, 0, len(COLOURS) - 1)
    second = (first + choose(rng, n, 1, len(COLOURS) - 1)) % len(COLOURS)
    return first, second.astype(np.int32)


def _paint_of(rng: Generator, colour: Ints, amount: int = 22) -> Ints:
    return jitter(rng, named_colours(COLOURS)[colour], amount)


def _background(rng: Generator, colour: Ints) -> Ints:
    """Pictures in one colour: flat, cloudy, or faintly patterned."""
    n = len(colour)
    base = _paint_of(rng, colour)
    images = flat_colour(base)
    other = np.clip(base + choose(rng, n, -60, 60)[:, None], 0, 255).astype(np.int32)
    kind = choose(rng, n, 0, 2)
    cloudy = np.flatnonzero(kind == 1)
    images[cloudy] = blend(smooth_noise(rng, len(cloudy), 6), base[cloudy], other[cloudy])
    woven = np.flatnonzero(kind == 2)
    level = _pattern_levels(
        rng, choose(rng, len(woven), 0, len(PATTERNS) - 1), choose(rng, len(woven), 14, 50)
    )
    images[woven] = blend(level >> 1, base[woven], other[woven])
    return images


def _pattern_levels(rng: Generator, pattern: Ints, period: Ints) -> Ints:
    levels = np.empty((len(pattern), SIDE, SIDE), dtype=np.int32)
    for k, draw in enumerate(PATTERNS.values()):
        rows = np.flatnonzero(pattern == k)
        if len(rows):
            levels[rows] = draw(rng, period[rows])
    return levels


def _glyphs(
    what: Generator, how: Generator, n: int, *, digits: bool = False
) -> tuple[Ints, dict[str, Ints]]:
    """A glyph in the middle, parts of others at its sides."""
    colour, ground = _two_colours(what, n)
    images = _background(how, ground)
    n_signs = len(SIGNS) if digits else len(LETTERS)
    sign = choose(what, n, 0, n_signs - 1)
    font = choose(what, n, 0, len(FONTS) - 1)
    ink = _paint_of(how, colour)
    size, turn = choose(how, n, 56, 112), choose(how, n, -20, 20)
    x, y = choose(how, n, 50, 78), choose(how, n, 50, 78)
    for side in (-1, 1):
        other = font * len(SIGNS) + choose(how, n, 0, n_signs - 1)
        beside = (how.random(n) < 0.4).astype(np.int32)
        away = size * choose(how, n, 14, 18) // 16
        cover = place(_sign_masks(), other, x + side * away, y, size, turn=turn)
        paint(images, cover * beside[:, None, None], ink)
    cover = place(
        _sign_masks(), font * len(SIGNS) + sign, x, y, size,
        turn=turn, squeeze=choose(how, n, 13, 20),
    )  # fmt: skip
    paint(images, cover, ink)
    return images, {"sign": sign, "colour": colour, "ground": ground}


def _counted(what: Generator, how: Generator, n: int) -> tuple[Ints, dict[str, Ints]]:
    """One to five equal shapes, or many, small or big."""
    colour, ground = _two_colours(what, n)
    images = _background(how, ground)
    shape = choose(what, n, 0, len(SHAPES) - 1)
    count = choose(what, n, 0, len(COUNTS) - 1)
    count[what.random(n) < 0.4] = 0
    big = choose(what, n, 0, 1)
    ink = _paint_of(how, colour)
    turn = choose(how, n, -24, 24)
    cells = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1], [0, 2], [1, 2], [2, 2]])
    order = np.argsort(how.random((n, 9)), axis=1, kind="stable")
    alone = count == 0
    shown = np.where(count == 5, choose(how, n, 7, 9), count + 1)
    size_alone = np.where(big == 1, choose(how, n, 80, 116), choose(how, n, 36, 60))
    size_many = np.where(big == 1, choose(how, n, 38, 46), choose(how, n, 24, 31))
    size = np.where(alone, size_alone, size_many).astype(np.int32)
    for k in range(9):
        rows = np.flatnonzero(shown > k)
        cell = cells[order[rows, k]].astype(np.int32)
        x = 24 + cell[:, 0] * 40 + choose(how, len(rows), -4, 4)
        y = 24 + cell[:, 1] * 40 + choose(how, len(rows), -4, 4)
        x = np.where(alone[rows], 64 + choose(how, len(rows), -14, 14), x).astype(np.int32)
        y = np.where(alone[rows], 64 + choose(how, len(rows), -14, 14), y).astype(np.int32)
        cover = place(_shape_masks(), shape[rows], x, y, size[rows], turn=turn[rows])
        part = images[rows]
        paint(part, cover, ink[rows])
        images[rows] = part
    return images, {
        "shape": shape, "count": count, "size": big, "colour": colour, "ground": ground,
    }  # fmt: skip


def _patterned(what: Generator, how: Generator, n: int) -> tuple[Ints, dict[str, Ints]]:
    """A pattern in two colours over the whole image."""
    colour, ground = _two_colours(what, n)
    pattern = choose(what, n, 0, len(PATTERNS) - 1)
    coarse = choose(what, n, 0, 1)
    period = np.where(coarse == 1, choose(how, n, 32, 64), choose(how, n, 14, 26))
    level = _pattern_levels(how, pattern, period.astype(np.int32))
    images = blend(level, _paint_of(how, ground), _paint_of(how, colour))
    return images, {"pattern": pattern, "size": coarse, "colour": colour, "ground": ground}


def _nested(what: Generator, how: Generator, n: int) -> tuple[Ints, dict[str, Ints]]:
    """A small shape upon a big one, on any background."""
    colour, inner_colour = _two_colours(what, n)
    ink = _paint_of(how, colour)
    images = _background(how, choose(how, n, 0, len(COLOURS) - 1))
    images = (images + distant_colour(how, ink, 120)[:, None, None, :]) >> 1
    shape = choose(what, n, 0, len(SHAPES) - 1)
    inner = choose(what, n, 0, len(SHAPES) - 1)
    size = choose(how, n, 84, 124)
    x, y = choose(how, n, 54, 74), choose(how, n, 54, 74)
    turn = choose(how, n, -14, 14)
    squeeze = choose(how, n, 13, 19)
    rim = (how.random(n) < 0.4).astype(np.int32)
    cover = place(_shape_masks(), shape, x, y, size, turn=turn, squeeze=squeeze)
    paint(images, cover, ink)
    face = distant_colour(how, ink, 200)
    within = place(_shape_masks(), shape, x, y, size * 12 // 16, turn=turn, squeeze=squeeze)
    paint(images, within * rim[:, None, None], face)
    small = size * choose(how, n, 6, 8) // 16
    cover = place(_shape_masks(), inner, x, y, small, turn=turn, squeeze=squeeze)
    paint(images, cover, _paint_of(how, inner_colour))
    return images, {"shape": shape, "inner": inner, "colour": colour, "ground": inner_colour}


def _horizons(what: Generator, how: Generator, n: int) -> tuple[Ints, dict[str, Ints]]:
    """A shape standing on the ground under the sky."""
    ground, sky = _two_colours(what, n)
    colour = choose(what, n, 0, len(COLOURS) - 1)
    images = _background(how, sky)
    horizon = choose(how, n, 12, 22)[:, None, None]
    slope = choose(how, n, -3, 3)[:, None, None]
    axis = np.arange(SIDE, dtype=np.int32)
    below = axis[None, :, None] >= horizon + (slope * (axis[None, None, :] - 16) >> 4)
    paint(images, where_level(below), _background(how, ground))
    shape = choose(what, n, 0, len(SHAPES) - 1)
    size = choose(how, n, 52, 92)
    x = choose(how, n, 36, 92)
    y = (horizon[:, 0, 0] * 4 - size // 4 + choose(how, n, -4, 18)).astype(np.int32)
    cover = place(_shape_masks(), shape, x, y, size, turn=choose(how, n, -6, 6))
    paint(images, cover, _paint_of(how, colour))
    return images, {"shape": shape, "colour": colour, "ground": ground, "sky": sky}


def _banded(what: Generator, how: Generator, n: int) -> tuple[Ints, dict[str, Ints]]:
    """Ways across the image: straight, waving, crossing, bent, in rows, looped, forked."""
    colour, ground = _two_colours(what, n)
    images = _background(how, ground)
    band = choose(what, n, 0, len(BANDS) - 1)
    whole = np.full(n, 160, dtype=np.int32)  # one period spans more than the image
    u, v = phases(how, n, whole, choose(how, n, 0, 255))
    u -= u[:, 16:17, 16:17] - choose(how, n, -30, 30)[:, None, None]
    v -= v[:, 16:17, 16:17] - choose(how, n, -30, 30)[:, None, None]
    width = choose(how, n, 10, 26)[:, None, None]
    bent = (v * v >> 7) - 30
    kinds = (
        np.abs(u) < width,
        np.abs(u + bent) < width,
        (np.abs(u) < width) | (np.abs(v) < width),
        ((np.abs(u) < width) & (v > -width)) | ((np.abs(v) < width) & (u > -width)),
        ((u * 4) & 255) < width * 5,
        np.abs(u * u + v * v - 5200) < width * 130,
        (np.abs(u) < width) & (v < 0) | (np.abs(np.abs(u) - v) < width) & (v >= 0),
    )
    on = np.zeros((n, SIDE, SIDE), dtype=np.bool_)
    for k, kind in enumerate(kinds):
        on |= kind & (band == k)[:, None, None]
    paint(images, where_level(on), _paint_of(how, colour))
    return images, {"band": band, "colour": colour, "ground": ground}


_FAMILIES: tuple[Callable[..., tuple[Ints, dict[str, Ints]]], ...] = (
    _glyphs,
    _counted,
    _patterned,
    _nested,
    _horizons,
    _banded,
)
