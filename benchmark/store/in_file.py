"""Tensors as parts of files, so that another process can map what this one has verified."""

from __future__ import annotations

import os
from dataclasses import dataclass

from taskmark.errors import TaskmarkError


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A file as it was when its content was verified.

    Attributes:
        path: of the file, absolute.
        device: that it lies on.
        inode: of the file there.
        n_bytes: of all of it.
        mtime_ns: when it was last written to, nanoseconds.
        header: how many bytes come before its tensors, which fill the rest without gaps.
    """

    path: str
    device: int
    inode: int
    n_bytes: int
    mtime_ns: int
    header: int

    @classmethod
    def of(cls, path: str, status: os.stat_result, *, header: int) -> VerifiedFile:
        """The file at a path, whose status was asked for before it was read."""
        return cls(
            os.path.abspath(path),  # noqa: PTH100 - no links are followed
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            header,
        )

    def open(self) -> int:
        """Open it for reading alone.

        Returns:
            Its descriptor, which whoever asks must close.

        Raises:
            TaskmarkError: if it is gone, was replaced, or was written to.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise TaskmarkError(
                f"The file {self.path} cannot be opened any more ({error.strerror}); run again "
                "once nothing else moves it."
            ) from error
        found = VerifiedFile.of(self.path, os.fstat(handle), header=self.header)
        if found != self:
            os.close(handle)
            raise TaskmarkError(
                f"The file {self.path} was changed or replaced while the run was using it; run "
                "again once nothing else writes to it."
            )
        return handle


@dataclass(frozen=True, slots=True)
class InFile:
    """Where a contiguous tensor lies: from which byte of which file."""

    file: VerifiedFile
    start: int
