"""The outlines and fonts of the pre-training images: none of them is used by a task."""

from __future__ import annotations

from string import ascii_uppercase

from taskmark.suites.mini.drawing import (
    Outline,
    hole,
    rectangle,
    regular_polygon,
    shift,
    star_polygon,
)

FONTS = (
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSerif-Italic.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-BoldOblique.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
    "STIXGeneralBolIta.ttf",
    "cmss10.ttf",
    "cmtt10.ttf",
)
LETTERS = ascii_uppercase
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _points(*points: tuple[float, float]) -> Outline:
    return (points,)


_HEART = _points(
    (0.0, 0.9), (-0.6, 0.35), (-0.92, -0.15), (-0.85, -0.6), (-0.45, -0.8), (0.0, -0.45),
    (0.45, -0.8), (0.85, -0.6), (0.92, -0.15), (0.6, 0.35),
)  # fmt: skip
_MOON = _points(
    (0.35, -0.9), (-0.3, -0.8), (-0.75, -0.35), (-0.8, 0.25), (-0.45, 0.75), (0.2, 0.92),
    (0.7, 0.7), (0.15, 0.5), (-0.2, 0.1), (-0.2, -0.4),
)  # fmt: skip
_DROP = _points(
    (0.0, -0.95), (0.4, -0.2), (0.6, 0.3), (0.45, 0.75), (0.0, 0.95), (-0.45, 0.75),
    (-0.6, 0.3), (-0.4, -0.2),
)  # fmt: skip
_ARROW = _points(
    (0.95, 0.0), (0.1, -0.75), (0.1, -0.3), (-0.9, -0.3), (-0.9, 0.3), (0.1, 0.3), (0.1, 0.75)
)
_CROSS = _points(
    (-0.25, -0.9), (0.25, -0.9), (0.25, -0.25), (0.9, -0.25), (0.9, 0.25), (0.25, 0.25),
    (0.25, 0.9), (-0.25, 0.9), (-0.25, 0.25), (-0.9, 0.25), (-0.9, -0.25), (-0.25, -0.25),
)  # fmt: skip
_BOLT = _points(
    (0.2, -0.95), (-0.55, 0.1), (-0.05, 0.1), (-0.25, 0.95), (0.6, -0.2), (0.1, -0.2), (0.5, -0.95)
)
_HOUSE = _points(
    (0.0, -0.9), (0.95, -0.2), (0.7, -0.2), (0.7, 0.85), (0.2, 0.85), (0.2, 0.3), (-0.2, 0.3),
    (-0.2, 0.85), (-0.7, 0.85), (-0.7, -0.2), (-0.95, -0.2),
)  # fmt: skip
_TREE = (*shift(regular_polygon(7), 0.0, -0.3, 0.68), *rectangle(-0.14, 0.3, 0.14, 0.95))
_TOWER = (
    *rectangle(-0.3, -0.6, 0.3, 0.95),
    ((-0.5, -0.6), (0.0, -0.95), (0.5, -0.6)),
)
_MOUNTAIN = _points((-0.95, 0.7), (-0.4, -0.5), (-0.1, 0.0), (0.35, -0.75), (0.95, 0.7))
_BOAT = (
    ((-0.9, 0.3), (0.9, 0.3), (0.55, 0.85), (-0.55, 0.85)),
    ((-0.1, 0.2), (-0.1, -0.9), (0.65, 0.2)),
)
_WHEEL = regular_polygon(10)
_CAR = (
    ((-0.95, 0.35), (-0.95, 0.0), (-0.5, -0.1), (-0.2, -0.5), (0.4, -0.5), (0.65, -0.1),
     (0.95, 0.05), (0.95, 0.35)),
    *shift(_WHEEL, -0.5, 0.4, 0.25),
    *shift(_WHEEL, 0.5, 0.4, 0.25),
)  # fmt: skip
_BUS = (
    *rectangle(-0.95, -0.5, 0.95, 0.35),
    *hole(rectangle(-0.8, -0.3, -0.4, 0.0)),
    *hole(rectangle(-0.2, -0.3, 0.2, 0.0)),
    *hole(rectangle(0.4, -0.3, 0.8, 0.0)),
    *shift(_WHEEL, -0.55, 0.42, 0.22),
    *shift(_WHEEL, 0.55, 0.42, 0.22),
)
_TRUCK = (
    *rectangle(-0.95, -0.65, 0.3, 0.35),
    ((0.38, -0.2), (0.7, -0.2), (0.95, 0.1), (0.95, 0.35), (0.38, 0.35)),
    *shift(_WHEEL, -0.6, 0.42, 0.24),
    *shift(_WHEEL, 0.6, 0.42, 0.24),
)
_VAN = (
    ((-0.8, 0.4), (-0.8, -0.6), (0.3, -0.6), (0.6, -0.1), (0.85, 0.0), (0.85, 0.4)),
    *shift(_WHEEL, -0.45, 0.45, 0.26),
    *shift(_WHEEL, 0.5, 0.45, 0.26),
)

SHAPES: dict[str, Outline] = {
    "circle": regular_polygon(18, radius=0.92),
    "triangle": _points((0.0, -0.9), (0.95, 0.8), (-0.95, 0.8)),
    "square": rectangle(-0.8, -0.8, 0.8, 0.8),
    "diamond": _points((0.0, -0.95), (0.7, 0.0), (0.0, 0.95), (-0.7, 0.0)),
    "octagon": regular_polygon(8, radius=0.94, turn=1 / 16),
    "hexagon": regular_polygon(6, radius=0.94),
    "star": star_polygon(5, inner=0.42),
    "cross": _CROSS,
    "arrow": _ARROW,
    "bar": rectangle(-0.95, -0.28, 0.95, 0.28),
    "ring": (*regular_polygon(18), *hole(regular_polygon(18, radius=0.6))),
    "heart": _HEART,
    "moon": _MOON,
    "drop": _DROP,
    "bolt": _BOLT,
    "house": _HOUSE,
    "tree": _TREE,
    "tower": _TOWER,
    "mountain": _MOUNTAIN,
    "boat": _BOAT,
    "car": _CAR,
    "bus": _BUS,
    "truck": _TRUCK,
    "van": _VAN,
}
