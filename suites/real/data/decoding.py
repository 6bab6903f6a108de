"""From one encoded image to uint8 pixels of the size that is stored."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CorruptImageError(ValueError):
    """An image that cannot be decoded, or has a size that its data set cannot have."""


def decode(encoded: bytes | None, *, size: int, native: bool) -> NDArray[np.uint8]:
    """Decode one image.

    A native image must have the size already. Any other is treated as the evaluation transform of
    CLIP treats it: bicubic (Pillow, antialiased), its shorter side to `size`, the longer in
    proportion and rounded down, then the centre. Colours are converted to RGB before. Backbones of
    timm see the same pixels: the margin that timm's own transforms cut off first for many of them
    (a crop of 0.9) is not cut off.

    Args:
        encoded: a JPEG, PNG, WebP ... file.
        size: side of the square, pixels.
        native: whether the image is stored as it is.

    Returns:
        [3, size, size], uint8.

    Raises:
        CorruptImageError: if there is no image, it is damaged, or native and of another size.
    """
    if not encoded:
        raise CorruptImageError("it is empty")
    try:
        with Image.open(io.BytesIO(encoded)) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow's message holds the address of the buffer, which differs from run to run.
        reason = str(error).partition(" <")[0]
        raise CorruptImageError(reason or type(error).__name__) from error
    if native and image.size != (size, size):
        wide, high = image.size
        raise CorruptImageError(f"it has {wide} x {high} pixels, not {size} x {size}")
    if not native:
        image = centre(image, size)
    return np.asarray(image).transpose(2, 0, 1)


def centre(image: Image.Image, size: int) -> Image.Image:
    """Resize the shorter side to `size` and cut out the centre, as torchvision's transforms do."""
    wide, high = image.size
    shorter = min(wide, high)
    scaled = (size * wide // shorter, size * high // shorter)
    if scaled != image.size:
        image = image.resize(scaled, Image.Resampling.BICUBIC)
    left, top = round((scaled[0] - size) / 2), round((scaled[1] - size) / 2)
    return image.crop((left, top, left + size, top + size))
