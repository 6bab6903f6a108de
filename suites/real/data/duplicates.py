"""Images of test that stand in train as well, exactly or nearly."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pair: TypeAlias = tuple[int, int]  # a row of test, and one of train or validation

_THUMBNAIL = 32  # side, pixels
_FREQUENCIES = 8
_FARTHEST = 4  # of 64 signs
_LEVELS = 4.0  # mean absolute difference of thumbnails, of 255
_BLOCK = 128  # images; a block of products with 260,000 others takes 130 MB
_SKETCHED_AT_ONCE = 32  # images; each thread takes 25 MB for them at 224 pixels
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True, slots=True)
class Sketches:
    """What images are compared by.

    Attributes:
        pixels: SHA-256 of each image's pixels.
        signs: [N, 64], float32, each 1 or -1; see `sketch`.
        thumbnails: [N, 32, 32], uint8, grey levels.
    """

    pixels: tuple[bytes, ...]
    signs: NDArray[np.float32]
    thumbnails: NDArray[np.uint8]

    def of(self, rows: NDArray[np.int64]) -> Sketches:
        """Those of some rows."""
        pixels = tuple(self.pixels[row] for row in rows.tolist())
        return Sketches(pixels, self.signs[rows], self.thumbnails[rows])


def sketch(images: NDArray[np.uint8]) -> Sketches:
    """Reduce images to what they are compared by.

    An image becomes a grey thumbnail of 32 x 32 (the mean over each cell), whose 8 x 8 lowest
    frequencies of the cosine transform, the mean left out, give 64 signs: above their median, or
    not (a perceptual hash in the manner of Zauner 2010).

    Args:
        images: [N, 3, S, S], uint8; read block by block, in threads.
    """
    from scipy.fft import dctn  # noqa: PLC0415 - `taskmark data list` need not wait for it

    cells = _cells(images.shape[-1])

    def of_block(start: int) -> tuple[list[bytes], NDArray[np.float32], NDArray[np.uint8]]:
        block = np.ascontiguousarray(images[start : start + _SKETCHED_AT_ONCE])
        digests = [hashlib.sha256(image).digest() for image in block]
        grey = sum(share * block[:, channel] for channel, share in enumerate(_GREY))  # [b, S, S]
        small = cells @ grey @ cells.T
        waves = dctn(small, axes=(1, 2))[:, :_FREQUENCIES, :_FREQUENCIES].reshape(len(block), -1)
        waves[:, 0] = 0
        above = waves > np.median(waves, axis=1, keepdims=True)
        return digests, np.where(above, np.float32(1), np.float32(-1)), np.rint(small).astype("u1")

    with ThreadPoolExecutor() as threads:
        blocks = list(threads.map(of_block, range(0, len(images), _SKETCHED_AT_ONCE)))
    signs = [np.empty((0, _FREQUENCIES**2), np.float32), *(block[1] for block in blocks)]
    thumbnails = [np.empty((0, _THUMBNAIL, _THUMBNAIL), np.uint8), *(block[2] for block in blocks)]
    pixels = tuple(digest for block in blocks for digest in block[0])
    return Sketches(pixels, np.concatenate(signs), np.concatenate(thumbnails))


def copies(test: Sketches, others: Sketches) -> tuple[Pair, ...]:
    """Pair every other image that stands in test, pixel by pixel, with the first such test image.

    Returns:
        (row of test, row of the others), the latter ascending.
    """
    first: dict[bytes, int] = {}
    for row, content in enumerate(test.pixels):
        first.setdefault(content, row)
    return tuple(
        (first[content], row) for row, content in enumerate(others.pixels) if content in first
    )


def likenesses(test: Sketches, others: Sketches) -> tuple[Pair, ...]:
    """Pair images of test with the nearest other image that is alike to the eye, copies included.

    A pair is alike if at most 4 of the 64 signs differ, and the thumbnails by at most 4 of 255
    levels on average: signs alone take all handwriting for one image.

    Returns:
        (row of test, row of the others), the former ascending.
    """
    found: list[Pair] = []
    for start in range(0, len(test.signs), _BLOCK):
        # Signs agree in (64 + product) / 2 places; sums of 64 signs are exact in float32.
        products = test.signs[start : start + _BLOCK] @ others.signs.T
        limit = _FREQUENCIES**2 - 2 * _FARTHEST
        candidates: dict[int, list[int]] = {}
        for row, other in zip(*np.nonzero(products >= limit), strict=True):
            candidates.setdefault(start + int(row), []).append(int(other))
        for row, rows in candidates.items():
            apart = others.thumbnails[rows].astype(np.int16) - test.thumbnails[row]
            differences = np.abs(apart).mean((1, 2))
            if differences.min() <= _LEVELS:
                found.append((row, rows[int(differences.argmin())]))
    return tuple(found)


def _cells(size: int) -> NDArray[np.float32]:
    """The matrix [32, S] that takes means over 32 equal stretches of S pixels."""
    edges = np.linspace(0, size, _THUMBNAIL + 1)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)
    overlap = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
    cells: NDArray[np.float32] = (np.maximum(overlap, 0) / (right - left)).astype(np.float32)
    return cells
