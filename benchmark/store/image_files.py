"""Images that stay in a file of their own: mapped where they are, and checked for changes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data.arrays import Arrays, digest

if TYPE_CHECKING:
    import os

    from torch import Tensor

_REMEMBERED = 256  # files whose hash this process computed because they had been touched


class MissingImagesError(OSError):
    """A file of images is not where it was; the artifact that refers to it is not damaged."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An .npy file of images that an artifact refers to, as it was when it was last read whole.

    Attributes:
        path: of the file, absolute; it holds uint8, [N, 3, S, S].
        sha256: of the images and their labels, see `taskmark.suites.real.data.arrays.digest`.
        labels: the name of the labels, [N], among the tensors of the artifact.
        n_bytes: of the file.
        mtime_ns: when it was last written to, nanoseconds.
    """

    path: str
    sha256: str
    labels: str
    n_bytes: int
    mtime_ns: int

    @classmethod
    def read(cls, path: Path, *, sha256: str, labels: str, values: Tensor) -> ImageFile:
        """Refer to a file after reading all of it.

        Args:
            path: of the file.
            sha256: what it should have.
            labels: the name of the labels.
            values: the labels, [N].

        Raises:
            TaskmarkError: if it holds something else or cannot be read.
        """
        try:
            file = path.resolve(strict=True)
            status = file.stat()
            found = _digest(str(file), values)
        except (OSError, ValueError) as error:
            raise TaskmarkError(
                f"The images in {path} cannot be read ({error}); remove their folder, and decode "
                "them again with `taskmark data fetch`."
            ) from error
        if found != sha256:
            raise TaskmarkError(
                f"The images in {path} have the SHA-256 {found[:12]}, but should have "
                f"{sha256[:12]}; remove their folder, and decode them again with "
                "`taskmark data fetch`."
            )
        return cls(str(file), sha256, labels, status.st_size, status.st_mtime_ns)

    def map(self, values: Tensor) -> Tensor:
        """Map the images, private to the process; the file is read only if it was touched since.

        Args:
            values: the labels, [N].

        Returns:
            The images, [N, 3, S, S].

        Raises:
            ValueError: if it holds something else now.
            MissingImagesError: if it is not there.
            OSError: if it cannot be read.
        """
        status = self._status()
        size, time = status.st_size, status.st_mtime_ns
        if (size, time) != (self.n_bytes, self.mtime_ns):
            self._require(_remembered_digest(self.path, size, time, values.numpy().tobytes()))
        import torch  # noqa: PLC0415 - what only looks at the store need not wait for it

        return torch.from_numpy(np.lib.format.open_memmap(self.path, mode="c"))

    def verify(self, values: Tensor) -> None:
        """Read every byte; `values` are the labels.

        Raises:
            ValueError: if it holds something else than it did.
            MissingImagesError: if it is not there.
            OSError: if it cannot be read.
        """
        self._status()
        self._require(_digest(self.path, values))

    def _status(self) -> os.stat_result:
        try:
            return Path(self.path).stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingImagesError(error.errno, error.strerror, self.path) from error

    def _require(self, found: str) -> None:
        if found != self.sha256:
            raise ValueError(
                f"{self.path} has the SHA-256 {found[:12]} instead of {self.sha256[:12]}"
            )


def _digest(path: str, values: Tensor) -> str:
    return digest(Arrays(np.lib.format.open_memmap(path, mode="r"), values.numpy()))


@functools.lru_cache(maxsize=_REMEMBERED)
def _remembered_digest(path: str, _n_bytes: int, _mtime_ns: int, labels: bytes) -> str:
    import torch  # noqa: PLC0415 - likewise

    return _digest(path, torch.from_numpy(np.frombuffer(labels, np.int64).copy()))
