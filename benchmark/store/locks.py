"""Locks: which process is making which artifact, and whether a run is using the store.

A lock belongs to an open file and ends with the process that holds it. Locks save work and guard
nothing: where a file system has none, two processes may make the same artifact, each writes it
whole, and the last one stays.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Self

from taskmark.atomic_files import USUAL_CURE, open_locked
from taskmark.errors import TaskmarkError
from taskmark.store.address import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = ".lock"
_IN_USE = "in-use.lock"


class ArtifactLocks:
    """The locks that this process holds in a store; use it as a context manager.

    While it is open, the store is marked as in use, so that nobody prunes it.

    Args:
        store_root: of the store.
    """

    def __init__(self, store_root: Path) -> None:
        self._root = store_root
        self.folder = folder_of(store_root) / "locks"
        self._held: dict[str, int] = {}
        self._mark: int | None = None

    def __enter__(self) -> Self:
        self._mark = _open(self._root, shared=True, wait=True)
        self._sweep()
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._held):
            self.release(name)
        self._sweep()
        if self._mark is not None:
            os.close(self._mark)

    def take(self, name: str) -> bool:
        """Take the lock of an artifact; false if it is held already, by whomever.

        Args:
            name: of the artifact, as a file may be called.

        Raises:
            TaskmarkError: if the folder cannot be written.
        """
        path = self._path(name)
        with _explain(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = open_locked(path)
        if handle is None:
            return False
        self._held[name] = handle
        return True

    def release(self, name: str) -> None:
        """Give a lock back, if this process holds it."""
        handle = self._held.pop(name, None)
        if handle is not None:
            _remove(self._path(name), handle)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_LOCK}"

    def _sweep(self) -> None:
        # What killed processes left; nobody holds it, and it does no harm.
        for path in self.folder.glob(f"*{_LOCK}"):
            with contextlib.suppress(OSError):
                handle = open_locked(path)
                if handle is not None:
                    _remove(path, handle)


@contextlib.contextmanager
def lock_out_runs(store_root: Path) -> Iterator[None]:
    """Keep runs from starting within the block.

    Raises:
        TaskmarkError: if one is using the store.
    """
    handle = _open(store_root, shared=False, wait=False)
    if handle is None:
        raise TaskmarkError(
            f"The store {str(store_root)!r} is in use by a run; wait for the end of that run."
        )
    try:
        yield
    finally:
        os.close(handle)


def _open(store_root: Path, *, shared: bool, wait: bool) -> int | None:
    path = folder_of(store_root) / _IN_USE
    with _explain(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_locked(path, shared=shared, wait=wait)


def _remove(path: Path, handle: int) -> None:
    # In this order: the file must not go while another process holds it.
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(handle)


@contextlib.contextmanager
def _explain(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TaskmarkError(
            f"The lock {str(path)!r} cannot be written ({error.strerror}); {USUAL_CURE}."
        ) from error
