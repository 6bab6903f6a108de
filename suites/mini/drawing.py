"""Exact drawing: outlines become masks, masks become images, with integers wherever a bit counts.

Every routine gives the same bytes on every machine: pixels come from integer arithmetic and from
IEEE additions, products and square roots; sines and angles are tables of small integers.
"""

# ruff: noqa: PLR2004 - the numbers are the drawing
from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int32]
Pixels: TypeAlias = NDArray[np.uint8]
Outline: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]
"""Closed contours in the square [-1, 1] x [-1, 1], y downwards, filled by the non-zero rule."""

SIDE = 32  # pixels of an image
MASK = 64  # cells of a mask
TURN = 256  # a full turn, and a full period
SUBSAMPLES = 2  # per pixel and axis

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (205, 35, 40),
    "orange": (240, 130, 30),
    "yellow": (240, 215, 50),
    "green": (45, 150, 60),
    "blue": (40, 80, 200),
    "purple": (130, 60, 165),
    "pink": (240, 150, 180),
    "brown": (120, 75, 40),
    "white": (240, 240, 240),
    "gray": (128, 128, 128),
    "black": (20, 20, 25),
    "cyan": (60, 200, 215),
}

SINE: Ints = np.array(
    [round(1024 * math.sin(2 * math.pi * k / TURN)) for k in range(TURN)], dtype=np.int32
)
"""1024 times the sine of k turns of 1/256."""

_ANGLE_REACH = 64
ANGLE: Ints = np.array(
    [
        [
            round(math.atan2(y, x) * TURN / (2 * math.pi)) % TURN
            for x in range(-_ANGLE_REACH, _ANGLE_REACH + 1)
        ]
        for y in range(-_ANGLE_REACH, _ANGLE_REACH + 1)
    ],
    dtype=np.int32,
)
"""Direction of the integer vector (x - 64, y - 64) in turns of 1/256, indexed [y, x]."""


def stream(*key: int) -> Generator:
    """An independent stream of random numbers for a key such as (task seed, split)."""
    return Generator(PCG64(SeedSequence(key)))


def balanced_labels(rng: Generator, n: int, n_classes: int) -> NDArray[np.int64]:
    """Labels in random order, each class as often as any other, give or take one."""
    order = np.argsort(rng.random(n), kind="stable")
    return (order % n_classes).astype(np.int64)


def choose(rng: Generator, n: int, low: int, high: int) -> Ints:
    """N integers in [low, high], both ends included."""
    return rng.integers(low, high, size=n, endpoint=True, dtype=np.int32)


def sign(rng: Generator, n: int) -> Ints:
    """N times minus or plus one."""
    return rng.integers(0, 2, size=n, dtype=np.int32) * 2 - 1


# Outlines


def regular_polygon(n_corners: int, *, radius: float = 0.95, turn: float = 0.0) -> Outline:
    """A regular polygon; its first corner is up, moved by `turn` (in full turns)."""
    angles = [2 * math.pi * (k / n_corners + turn) for k in range(n_corners)]
    return (tuple((radius * math.sin(a), -radius * math.cos(a)) for a in angles),)


def star_polygon(
    n_points: int, *, inner: float, radius: float = 0.95, turn: float = 0.0
) -> Outline:
    """A star with its first point up; `inner` is the radius of the notches over that of points."""
    contour = []
    for k in range(2 * n_points):
        angle = 2 * math.pi * (k / (2 * n_points) + turn)
        reach = radius * (inner if k % 2 else 1.0)
        contour.append((reach * math.sin(angle), -reach * math.cos(angle)))
    return (tuple(contour),)


def rectangle(left: float, top: float, right: float, bottom: float) -> Outline:
    """An upright rectangle."""
    return (((left, top), (right, top), (right, bottom), (left, bottom)),)


def hole(outline: Outline) -> Outline:
    """The same contours walked backwards, which the non-zero rule cuts out of what holds them."""
    return tuple(tuple(reversed(contour)) for contour in outline)


def shift(outline: Outline, x: float, y: float, scale: float = 1.0) -> Outline:
    """The outline scaled about the origin, then shifted."""
    return tuple(tuple((x + scale * a, y + scale * b) for a, b in contour) for contour in outline)


@lru_cache(maxsize=64)
def _font(file: str) -> FT2Font:
    return FT2Font(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / file))


def glyph(file: str, character: str) -> Outline:
    """A character's outline from a font file that matplotlib carries, unhinted, centred and fitted.

    The font's own integer units are read (no scaling, no hinting), so no release of FreeType
    moves a point.

    Raises:
        ValueError: the font file has no such character.
    """
    font = _font(file)
    if ord(character) not in font.get_charmap():
        raise ValueError(f"{file} has no glyph for {character!r}; choose another font or character")
    font.load_char(ord(character), flags=LoadFlags.NO_SCALE)
    vertices, codes = font.get_path()
    contours: list[list[tuple[float, float]]] = []
    points = [(float(x), float(y)) for x, y in vertices]
    k = 0
    while k < len(points):
        match int(codes[k]):
            case 1:  # move
                contours.append([points[k]])
            case 2:  # line
                contours[-1].append(points[k])
            case 3:  # quadratic curve: control point, end
                (x0, y0), (x1, y1), (x2, y2) = contours[-1][-1], points[k], points[k + 1]
                for t in (0.25, 0.5, 0.75, 1.0):
                    a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
                    contours[-1].append((a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2))
                k += 1
            case _:  # closing vertex: contours close themselves
                pass
        k += 1
    xs = [x for contour in contours for x, _ in contour]
    ys = [y for contour in contours for _, y in contour]
    x_middle, y_middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    reach = max(max(xs) - min(xs), max(ys) - min(ys)) / 2 / 0.95
    return tuple(
        tuple(((x - x_middle) / reach, (y_middle - y) / reach) for x, y in contour)
        for contour in contours
    )


def mask(outline: Outline) -> Pixels:
    """Fill an outline: coverage 0..255 in [64, 64] cells, the outermost of them empty."""
    size = 2 * MASK  # 2 x 2 samples a cell
    winding = np.zeros((size, size + 1), dtype=np.int64)
    centres = np.arange(size) + 0.5
    for contour in outline:
        points = (np.array(contour, dtype=np.float64) * 0.97 + 1.0) * (size / 2)
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            low, high = min(y0, y1), max(y0, y1)
            rows = np.flatnonzero((centres >= low) & (centres < high))
            crossings = x0 + (centres[rows] - y0) * ((x1 - x0) / (y1 - y0))
            columns = np.clip(np.ceil(crossings - 0.5), 0, size).astype(np.int64)
            np.add.at(winding, (rows, columns), 1 if y1 > y0 else -1)
    inside = (np.cumsum(winding, axis=1)[:, :size] != 0).astype(np.int64)
    covered = inside.reshape(MASK, 2, MASK, 2).sum(axis=(1, 3)) * 255 // 4
    covered[[0, -1], :] = 0
    covered[:, [0, -1]] = 0
    return np.asarray(covered, dtype=np.uint8)


def masks(outlines: list[Outline]) -> Pixels:
    """Fill many outlines: [K, 64, 64]."""
    return np.stack([mask(outline) for outline in outlines])


# Images


def place(
    shapes: Pixels,
    index: NDArray[np.integer],
    x: Ints,
    y: Ints,
    size: Ints,
    *,
    turn: Ints | int = 0,
    squeeze: Ints | int = 16,
) -> Ints:
    """Coverage of one placed mask an image, with 2 x 2 samples a pixel.

    Args:
        shapes: masks [K, 64, 64].
        index: which mask, [N].
        x: centre in quarter pixels, [N].
        y: centre in quarter pixels, [N].
        size: width and height of the whole mask in quarter pixels, [N].
        turn: clockwise rotation in turns of 1/256.
        squeeze: height over width in sixteenths.

    Returns:
        Coverage 0..255, [N, 32, 32].
    """
    n = len(index)
    turns = np.broadcast_to(np.asarray(turn, dtype=np.int64), (n,))
    ratio = np.broadcast_to(np.asarray(squeeze, dtype=np.int64), (n,))
    cosine = SINE[(turns + TURN // 4) % TURN].astype(np.int64)
    sine = SINE[turns % TURN].astype(np.int64)
    width = np.maximum(size.astype(np.int64), 1)[:, None]
    height = np.maximum(size.astype(np.int64) * ratio, 1)[:, None]  # in 1/64 pixels
    cells = MASK * 64  # what turns quarter pixels over the width into 1/65536 of a cell
    samples = np.arange(SIDE * SUBSAMPLES, dtype=np.int64) * 2 + 1  # quarter pixels
    from_x = samples[None, :] - x.astype(np.int64)[:, None]  # [N, 64]
    from_y = samples[None, :] - y.astype(np.int64)[:, None]
    half = MASK // 2 << 16
    u_x = (cosine[:, None] * from_x * cells // width + half).astype(np.int32)
    u_y = (sine[:, None] * from_y * cells // width).astype(np.int32)
    v_x = (-sine[:, None] * from_x * cells * 16 // height + half).astype(np.int32)
    v_y = (cosine[:, None] * from_y * cells * 16 // height).astype(np.int32)
    flat = shapes.reshape(-1)
    first = (np.asarray(index, dtype=np.int64) * (MASK * MASK)).astype(np.int32)
    covered = np.empty((n, SIDE, SIDE), dtype=np.int32)
    block = 64  # images that fit the cache
    for start in range(0, n, block):
        part = slice(start, start + block)
        u = (u_x[part, None, :] + u_y[part, :, None]) >> 16
        v = (v_x[part, None, :] + v_y[part, :, None]) >> 16
        np.clip(u, 0, MASK - 1, out=u)
        np.clip(v, 0, MASK - 1, out=v)
        v <<= 6
        v += u
        v += first[part, None, None]
        hit = flat.take(v).astype(np.int32).reshape(-1, SIDE, 2, SIDE, 2)
        covered[part] = (
            hit[:, :, 0, :, 0] + hit[:, :, 0, :, 1] + hit[:, :, 1, :, 0] + hit[:, :, 1, :, 1]
        ) >> 2
    return covered


def paint(images: Ints, coverage: Ints, colour: Ints) -> None:
    """Lay a colour over images, in place.

    Args:
        images: [N, 32, 32, 3], 0..255.
        coverage: opacity 0..255, [N, 32, 32].
        colour: [N, 3], or a whole picture [N, 32, 32, 3].
    """
    laid = colour if colour.ndim == images.ndim else colour[:, None, None, :]
    images += ((laid - images) * coverage[..., None] + 127) >> 8


def flat_colour(colour: Ints) -> Ints:
    """Images of one colour each: [N, 3] -> [N, 32, 32, 3]."""
    return np.broadcast_to(colour[:, None, None, :], (len(colour), SIDE, SIDE, 3)).copy()


def blend(level: Ints, low: Ints, high: Ints) -> Ints:
    """Colour by a level: 0 gives `low`, 255 gives `high`; [N, 32, 32], [N, 3], [N, 3]."""
    low, high = low[:, None, None, :], high[:, None, None, :]
    return np.asarray(low + (((high - low) * level[..., None] + 127) >> 8), dtype=np.int32)


def named_colours(names: list[str] | tuple[str, ...]) -> Ints:
    """Palette entries by name, [K, 3]."""
    return np.array([PALETTE[name] for name in names], dtype=np.int32)


def jitter(rng: Generator, colour: Ints, amount: int) -> Ints:
    """Colours [N, 3] moved at random: together by up to `amount`, each channel by half of that."""
    n = len(colour)
    together = choose(rng, n, -amount, amount)[:, None]
    apart = rng.integers(-amount // 2, amount // 2, size=(n, 3), endpoint=True, dtype=np.int32)
    return np.asarray(np.clip(colour + together + apart, 0, 255), dtype=np.int32)


def any_colour(rng: Generator, n: int, low: int = 10, high: int = 245) -> Ints:
    """Colours from the whole cube, [N, 3]."""
    return rng.integers(low, high, size=(n, 3), endpoint=True, dtype=np.int32)


def distant_colour(rng: Generator, colour: Ints, distance: int) -> Ints:
    """Random colours [N, 3] at least `distance` (sum over channels) away from the given ones."""
    other = any_colour(rng, len(colour))
    near = np.abs(other - colour).sum(axis=1) < distance
    # The point mirrored at the cube's far half is always far enough from a near one.
    other[near] = np.where(colour[near] > 127, other[near] // 4, 255 - other[near] // 4)
    return other


def smooth_noise(rng: Generator, n: int, cells: int) -> Ints:
    """Random fields 0..255 with `cells` cells a side, bilinear between, [N, 32, 32]."""
    lattice = rng.integers(0, 256, size=(n, cells + 1, cells + 1), dtype=np.int32)
    position = (np.arange(SIDE) * 2 + 1) * cells * 8  # 1/512 of a cell
    corner = position // 512
    weight: Ints = (position % 512 // 8).astype(np.int32)  # 0..63
    rows: Ints = (
        lattice[:, corner] * (64 - weight)[None, :, None]
        + lattice[:, corner + 1] * weight[None, :, None]
    )
    both: Ints = rows[:, :, corner] * (64 - weight) + rows[:, :, corner + 1] * weight
    return both >> 12


def speckle(rng: Generator, images: Ints, amount: Ints) -> None:
    """Add bell-shaped pixel noise in place, of at most `amount` [N] either way."""
    shape = images.shape
    noise = rng.integers(0, 256, size=shape, dtype=np.uint8).astype(np.int32)
    noise += rng.integers(0, 256, size=shape, dtype=np.uint8)
    noise -= 255
    images += (noise * amount[:, None, None, None]) >> 8


def blur(images: Ints, chosen: NDArray[np.bool_]) -> None:
    """Soften the chosen images in place by the 1-2-1 kernel along both axes."""
    part = images[chosen]
    for axis in (1, 2):
        before = np.concatenate([part.take([0], axis), part.take(range(SIDE - 1), axis)], axis)
        after = np.concatenate([part.take(range(1, SIDE), axis), part.take([-1], axis)], axis)
        part = (before + 2 * part + after + 2) >> 2
    images[chosen] = part


def lighting(rng: Generator, images: Ints, amount: int) -> None:
    """Brighten and darken smoothly across each image, in place, by up to `amount` percent."""
    n = len(images)
    field = smooth_noise(rng, n, 2) - 128  # -128..127
    images += (images * (field * amount)[..., None]) >> 14


def to_pixels(images: Ints) -> Pixels:
    """Clip to pixels."""
    return np.clip(images, 0, 255).astype(np.uint8)


def phases(rng: Generator, n: int, period: Ints, turn: Ints, *, bend: int = 0) -> tuple[Ints, Ints]:
    """Two turned coordinates in which one period (in quarter pixels) is 256.

    Args:
        rng: source of the offsets and of the bending.
        n: how many images.
        period: quarter pixels, [N].
        turn: in turns of 1/256, [N].
        bend: largest smooth displacement, in phase units.

    Returns:
        Two fields [N, 32, 32].
    """
    cosine, sine = SINE[(turn + TURN // 4) % TURN], SINE[turn % TURN]
    axis = np.arange(SIDE, dtype=np.int32) * 4 + 2 - 2 * SIDE  # quarter pixels from the middle
    x, y = axis[None, None, :], axis[None, :, None]
    cosine, sine, step = cosine[:, None, None], sine[:, None, None], period[:, None, None]
    offset_u, offset_v = choose(rng, n, 0, 255), choose(rng, n, 0, 255)
    u = ((cosine * x + sine * y) >> 2) // step + offset_u[:, None, None]
    v = ((cosine * y - sine * x) >> 2) // step + offset_v[:, None, None]
    if bend:
        u = u + (((smooth_noise(rng, n, 3) - 128) * bend) >> 7)
        v = v + (((smooth_noise(rng, n, 3) - 128) * bend) >> 7)
    return np.asarray(u, dtype=np.int32), np.asarray(v, dtype=np.int32)


def wave(phase: Ints) -> Ints:
    """A sine of the phase as a level 0..255."""
    return np.asarray((SINE[phase & 255] + 1024) >> 3, dtype=np.int32).clip(0, 255)


def tooth(phase: Ints) -> Ints:
    """A triangle wave of the phase as a level 0..255."""
    return np.asarray(np.abs((phase & 255) - 128) * 255 >> 7, dtype=np.int32)


def where_level(condition: NDArray[np.bool_]) -> Ints:
    """255 where the condition holds, else 0."""
    return condition.astype(np.int32) * 255
