"""The border of an image, where another class is shown that does not count: the middle does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskmark.suites.mini.drawing import SIDE, Ints, choose, smooth_noise, where_level

if TYPE_CHECKING:
    from numpy.random import Generator


def surroundings(rng: Generator, n: int, low: int, high: int) -> Ints:
    """Coverage of what lies around a crooked disc about the middle of the image.

    Args:
        rng: source of the disc's radius and of its bends.
        n: how many images.
        low: smallest radius in quarter pixels, before it bends.
        high: largest radius, likewise.

    Returns:
        Coverage 0 or 255, [N, 32, 32].
    """
    axis = np.arange(SIDE, dtype=np.int32) * 4 + 2 - 2 * SIDE
    reach = axis[:, None] * axis[:, None] + axis[None, :] * axis[None, :]
    radius = choose(rng, n, low, high)[:, None, None] + ((smooth_noise(rng, n, 4) - 128) >> 3)
    return where_level(reach[None] > radius * radius)
