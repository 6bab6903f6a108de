"""What a record keeps of every image, as text: a bit, or a count."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pack_bits(correct: NDArray[np.bool_]) -> str:
    """Pack one bit per image, [n] -> base64 text."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def unpack_bits(bits: str, n: int) -> NDArray[np.bool_]:
    """Read the bits of `n` images back, base64 text -> [n].

    Raises:
        ValueError: if these are not the bits of n images.
    """
    packed = np.frombuffer(base64.b64decode(bits, validate=True), dtype=np.uint8)
    if n < 0 or len(packed) != -(-n // 8):
        raise ValueError(f"{len(packed)} bytes do not hold the bits of {n} images")
    return np.unpackbits(packed, count=n).astype(np.bool_)


def pack_counts(counts: NDArray[np.integer[Any]]) -> str:
    """Pack one count per image, [n] -> base64 text (two bytes each, little-endian).

    Raises:
        ValueError: if a count does not fit into two bytes.
    """
    packed = counts.astype("<u2")
    if not np.array_equal(packed, counts):
        raise ValueError("counts must lie between 0 and 65535")
    return base64.b64encode(packed.tobytes()).decode()


def unpack_counts(counts: str) -> NDArray[np.int64]:
    """Read the counts of images back, base64 text -> [n]."""
    packed = np.frombuffer(base64.b64decode(counts, validate=True), dtype="<u2")
    return packed.astype(np.int64)
