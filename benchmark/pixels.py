"""From cached uint8 pixels to normalised floats, batch by batch, at the speed of memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

_WHITE = 255  # the largest uint8 value, which stands for intensity 1


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What a backbone expects: (x / 255 - mean) / std, channel by channel.

    Attributes:
        mean: of each channel, on the scale where 1 is the largest intensity.
        std: standard deviation of each channel, on the same scale, above 0.

    Raises:
        TaskmarkError: if the two differ in length, or a number cannot be used.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise TaskmarkError(
                f"A normalisation has {len(self.mean)} means and {len(self.std)} standard "
                "deviations; give one of each for every channel."
            )
        if not all(map(math.isfinite, self.mean + self.std)) or min(self.std) <= 0:
            raise TaskmarkError(
                f"A normalisation cannot use the means {self.mean} and the standard deviations "
                f"{self.std}; give finite numbers, the deviations above 0."
            )


def normalise(
    images: NDArray[np.uint8], normalisation: Normalisation, out: NDArray[np.float32]
) -> None:
    """Write (images / 255 - mean) / std into `out`, as x * scale + shift in float32.

    Scale and shift are worked out in float64, so that each result is off by at most two roundings
    of float32 and those of the two constants.

    Args:
        images: [B, C, H, W]; may be a memory map.
        normalisation: of C channels.
        out: [B, C, H, W], overwritten.

    Raises:
        TaskmarkError: if the images are not uint8, or have other channels than the normalisation.
    """
    _check(images, normalisation)
    mean, std = np.array(normalisation.mean), np.array(normalisation.std)
    scale = (1 / (_WHITE * std)).astype(np.float32)[:, None, None]
    shift = (-mean / std).astype(np.float32)[:, None, None]
    # One image at a time stays in the cache over the three steps; a whole batch would not.
    for pixels, normalised in zip(images, out, strict=True):
        normalised[...] = pixels
        np.multiply(normalised, scale, out=normalised)
        np.add(normalised, shift, out=normalised)


def normalised_batches(
    images: NDArray[np.uint8], normalisation: Normalisation, *, batch_size: int
) -> Iterator[Tensor]:
    """Iterate over normalised images in order, [B, C, H, W] float32 each.

    All batches share one buffer: a batch is overwritten when the next one is asked for.

    Args:
        images: [N, C, H, W]; may be a memory map, of which one batch is read at a time.
        normalisation: of C channels.
        batch_size: B; the last batch may be smaller.

    Raises:
        TaskmarkError: as `normalise`, when the first batch is asked for.
    """
    _check(images, normalisation)
    buffer = np.empty((min(batch_size, len(images)), *images.shape[1:]), dtype=np.float32)
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        normalise(part, normalisation, buffer[: len(part)])
        yield torch.from_numpy(buffer[: len(part)])


def _check(images: NDArray[np.uint8], normalisation: Normalisation) -> None:
    channels = len(normalisation.mean)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != channels:  # noqa: PLR2004
        raise TaskmarkError(
            f"The images are {images.dtype} of the shape {images.shape}; "
            f"give uint8 of the shape (N, {channels}, H, W)."
        )
