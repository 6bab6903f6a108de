"""The decoded form of a data set: a folder of memory-mapped uint8 arrays with a page of facts."""

from __future__ import annotations

import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")
FACTS = "facts.json"

_HASHED_AT_ONCE = 256  # images
_KEPT = "kept"  # a split while rows are dropped
_CANNOT_RESERVE = {errno.EINVAL, errno.EOPNOTSUPP}  # what some file systems answer


class Facts(BaseModel):
    """What stands beside the arrays.

    Attributes:
        repository: where it is from.
        revision: at which commit.
        size: side of the images, pixels.
        rows: images in each of the three splits.
        classes: names in label order, as the files have them; may be empty.
        validation: SHA-256 of the manifest of the validation split.
        removed: images of the official train split that test has too, pixel by pixel, and train and
            validation have no more: (row of test, row of the official train split).
        pixels: SHA-256 of each split, see `digest`.
        pillow: the version that decoded; others may differ in a level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    revision: str
    size: int
    rows: dict[str, int]
    classes: tuple[str, ...]
    validation: str
    removed: tuple[tuple[int, int], ...]
    pixels: dict[str, str]
    pillow: str


@dataclass(frozen=True, slots=True)
class Arrays:
    """One split, memory-mapped.

    Attributes:
        images: [N, 3, S, S], uint8.
        labels: [N], int64.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def flush(self) -> None:
        """Wait until all that was written is on the disk."""
        for array in (self.images, self.labels):
            if isinstance(array, np.memmap):
                array.flush()


def default_folder() -> Path:
    """Where decoded data lies: TASKMARK_DATA, or taskmark/data in the user's cache folder."""
    named = os.environ.get("TASKMARK_DATA")
    return Path(named) if named else Path(platformdirs.user_cache_dir("taskmark")) / "data"


def file(folder: Path, split: str) -> Path:
    """The file of a split's images."""
    return folder / f"{split}.npy"


def create(folder: Path, split: str, n_rows: int, size: int) -> None:
    """Make the empty arrays of a split, with all the space that they need.

    Raises:
        OSError: if there is not that much.
    """
    for name, dtype, shape in _forms(split, n_rows, size):
        path = folder / name
        np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
        _reserve(path)


def writable(folder: Path, split: str) -> Arrays:
    """Open the arrays of a split for writing."""
    return _open(folder, split, "r+")


def keep(folder: Path, split: str, rows: NDArray[np.int64]) -> None:
    """Drop all rows of a split but some, in their order; meanwhile these lie there twice.

    Raises:
        OSError: if there is no space for that.
    """
    before = split_arrays(folder, split)
    create(folder, _KEPT, len(rows), before.images.shape[-1])
    after = writable(folder, _KEPT)
    for start in range(0, len(rows), _HASHED_AT_ONCE):
        these = rows[start : start + _HASHED_AT_ONCE]
        after.images[start : start + len(these)] = before.images[these]
    after.labels[:] = before.labels[rows]
    after.flush()
    del before, after
    for kept, name in zip(_names(_KEPT), _names(split), strict=True):
        (folder / kept).replace(folder / name)


def split_arrays(folder: Path, split: str) -> Arrays:
    """Open the arrays of a split for reading; no byte of an image is read yet.

    Raises:
        TaskmarkError: if they are not there.
    """
    try:
        return _open(folder, split, "r")
    except (OSError, ValueError) as error:
        raise TaskmarkError(
            f"The decoded images in {folder} cannot be opened ({error}); remove the folder, and "
            "decode them again with `taskmark data fetch`."
        ) from error


def read_facts(folder: Path) -> Facts | None:
    """The facts of a decoded data set; nothing if it is not decoded.

    Raises:
        TaskmarkError: if they are damaged.
    """
    try:
        return Facts.model_validate_json((folder / FACTS).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise TaskmarkError(
            f"{folder / FACTS} is damaged; remove the folder, and decode the data again with "
            "`taskmark data fetch`."
        ) from error


def digest(arrays: Arrays) -> str:
    """The hash of a split, worked out in threads.

    SHA-256 over the shape; the SHA-256 of the pixels of each 256 images, in the order N, 3, S, S;
    and the labels as little-endian int64.
    """

    def of_block(start: int) -> bytes:
        block = np.ascontiguousarray(arrays.images[start : start + _HASHED_AT_ONCE])
        return hashlib.sha256(block.data).digest()

    total = hashlib.sha256(repr(arrays.images.shape).encode())
    with ThreadPoolExecutor() as threads:
        for part in threads.map(of_block, range(0, len(arrays.images), _HASHED_AT_ONCE)):
            total.update(part)
    total.update(arrays.labels.astype("<i8").tobytes())
    return total.hexdigest()


def n_bytes(n_rows: int, size: int) -> int:
    """What so many images of that side take on disk, with their labels."""
    return n_rows * (3 * size * size + 8)


def _reserve(path: Path) -> None:
    """Take the space of a file at once: a disk that is full later ends whoever writes to a map."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise


def _forms(split: str, n_rows: int, size: int) -> list[tuple[str, Any, tuple[int, ...]]]:
    images, labels = _names(split)
    return [(images, np.uint8, (n_rows, 3, size, size)), (labels, np.int64, (n_rows,))]


def _names(split: str) -> tuple[str, str]:
    return f"{split}.npy", f"{split}_labels.npy"


def _open(folder: Path, split: str, mode: Any) -> Arrays:
    opened = (np.lib.format.open_memmap(folder / name, mode=mode) for name in _names(split))
    images, labels = opened
    return Arrays(images, labels)
