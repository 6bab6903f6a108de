"""Captions for the pre-training images: short sentences made from the factors of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.suites.mini.pretraining.images import BANDS, COLOURS, COUNTS, SIGNS, SIZES
from taskmark.suites.mini.pretraining.patterns import PATTERNS
from taskmark.suites.mini.pretraining.pretraining_outlines import DIGITS, LETTERS, SHAPES

if TYPE_CHECKING:
    from numpy.random import Generator

    from taskmark.suites.mini.pretraining.images import Block

_SHAPE_NAMES = tuple(SHAPES)
_PATTERN_NAMES = tuple(PATTERNS)
_SIGN_NAMES = tuple(
    f"letter-{sign.lower()}" if sign in LETTERS else f"digit {DIGITS[int(sign)]}" for sign in SIGNS
)
_GRAINS = dict(zip(SIZES, ("fine", "coarse"), strict=True))

_TEMPLATES: tuple[tuple[str, ...], ...] = (
    ("a {colour} {sign} on {ground}", "the {sign} in {colour}", "{sign}"),
    ("{count} {size} {colour} {shape} on {ground}", "{count} {colour} {shape}", "{size} {shape}"),
    (
        "a {grain} {pattern} pattern in {colour} and {ground}",
        "{colour} and {ground} {pattern} pattern",
        "{pattern}",
    ),
    (
        "a {colour} {shape} with a {ground} {inner}",
        "a {ground} {inner} on a {colour} {shape}",
        "a {shape} with a {inner}",
    ),
    (
        "a {colour} {shape} on {ground} ground under a {sky} sky",
        "a {shape} on {ground} ground under a {sky} sky",
        "{sky} sky above {ground} ground",
        "a {colour} {shape}",
    ),
    ("a {colour} {band} on {ground}", "a {band} on {ground} ground", "{colour} {band}"),
)
"""By family, in the order of the families."""

_OPTIONAL = ("colour", "ground", "size", "grain", "count")
_DROPPED = 0.15


def captions(block: Block, rng: Generator) -> list[str]:
    """One caption an image; adjectives are left out now and then.

    Args:
        block: images with their factors.
        rng: source of the wording.
    """
    n = len(block.images)
    wording = rng.random(n)
    dropped = rng.random((n, len(_OPTIONAL))) < _DROPPED
    columns = {name: values.tolist() for name, values in block.factors.items()}
    sentences = []
    for k in range(n):
        templates = _TEMPLATES[columns["family"][k]]
        # The fullest wording comes as often as all others together.
        choice = max(0, int(wording[k] * 2 * (len(templates) - 1)) - len(templates) + 2)
        words = {
            "colour": COLOURS[columns["colour"][k]],
            "ground": COLOURS[columns["ground"][k]],
            "sky": COLOURS[columns["sky"][k]],
            "sign": _SIGN_NAMES[columns["sign"][k]],
            "shape": _SHAPE_NAMES[columns["shape"][k]],
            "inner": _SHAPE_NAMES[columns["inner"][k]],
            "count": COUNTS[columns["count"][k]],
            "size": SIZES[columns["size"][k]],
            "grain": _GRAINS[SIZES[columns["size"][k]]],
            "pattern": _PATTERN_NAMES[columns["pattern"][k]],
            "band": BANDS[columns["band"][k]],
        }
        for name, drop in zip(_OPTIONAL, dropped[k], strict=True):
            if drop and choice == 0:
                words[name] = "thing" if name == "ground" else ""
        sentences.append(" ".join(templates[choice].format_map(words).split()))
    return sentences
