"""Writing files: whole or not at all, for every part of the project."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import socket
import stat
import zlib
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DRAFT = ".draft"
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}
_CANNOT_LOCK = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.EBADF}

USUAL_CURE = "free some space or choose another folder"


def write_atomically(
    path: Path,
    content: bytes | Iterable[bytes | memoryview],
    *,
    cure: str = USUAL_CURE,
    sync: bool = True,
) -> None:
    """Write a file so that it is either whole or not there, even when the machine loses power.

    Args:
        path: of the file; its folder is made if need be.
        content: all of it, or pieces in order, each written before the next is asked for.
        cure: what a user can do if it cannot be written, for the error's sentence.
        sync: whether to wait for the disk; what is quickly made again need not.

    Raises:
        TaskmarkError: if the file cannot be written; no part of it is left.
    """
    draft = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft, handle = _create_draft(path)
        with os.fdopen(handle, "wb") as file:
            file.writelines((content,) if isinstance(content, bytes) else content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
            draft.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        raise TaskmarkError(
            f"The file {str(path)!r} cannot be written ({error.strerror or error}); {cure}."
        ) from error
    finally:
        if draft is not None:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Raises:
        TaskmarkError: if it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TaskmarkError(
            f"The file {str(path)!r} cannot be removed ({error.strerror}); "
            "make its folder writable."
        ) from error


def check_writable(folder: Path, *, option: str = "") -> None:
    """Write a file to a folder, which is made if need be, and remove it again.

    Args:
        folder: it.
        option: how a user names another folder, such as "--out".

    Raises:
        TaskmarkError: if that fails.
    """
    probe = folder / _draft_name("can-write")  # which is swept, should it be left behind
    try:
        write_atomically(probe, b"")
    except TaskmarkError as error:
        why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
        raise TaskmarkError(
            f"The folder {str(folder)!r} cannot be written ({why}); free some space or choose "
            f"another{f' with {option}' if option else ''}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def list_drafts(folder: Path) -> list[Path]:
    """List the unfinished files in a folder and in its subfolders, whoever writes or wrote them."""
    with contextlib.suppress(OSError):
        folders = [folder, *sorted(entry for entry in folder.iterdir() if entry.is_dir())]
        return [draft for found in folders for draft in sorted(found.glob(f".*{_DRAFT}"))]
    return []


def remove_abandoned_drafts(folder: Path) -> list[Path]:
    """Remove the drafts that processes of this machine left when they were killed.

    Returns:
        What was removed.
    """
    return [draft for draft in list_drafts(folder) if _remove_if_abandoned(draft)]


def open_locked(path: Path, *, shared: bool = False, wait: bool = False) -> int | None:
    """Open a file and lock it until the descriptor is closed or the process ends.

    Where the file system has no locks, the file is opened all the same: locks here save work and
    guard nothing, because whatever two processes write at once is the same and whole.

    Args:
        path: of the file, which is made if need be; its folder must be there.
        shared: let others lock it shared, too.
        wait: until nobody else holds the lock.

    Returns:
        The descriptor; None if another process holds the lock and nobody waits for it.

    Raises:
        OSError: if the file cannot be opened.
    """
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if not _lock(handle, how):
            os.close(handle)
            return None
        if _is_at(path, handle):
            return handle
        os.close(handle)  # whoever held the lock before removed the file


def _lock(handle: int, how: int) -> bool:
    """Lock an open file; false if another process holds the lock."""
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            os.close(handle)
            raise
    return True


def _is_at(path: Path, handle: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(handle))
    return False


def _create_draft(path: Path) -> tuple[Path, int]:
    # Its lock says that somebody writes it. Until it is taken, the draft may be removed.
    while True:
        draft = path.with_name(_draft_name(path.name))
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        if _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB) and _is_at(draft, handle):
            return draft, handle
        os.close(handle)


def _draft_name(name: str) -> str:
    return f".{name[:80]}.{_host()}.{secrets.token_hex(4)}{_DRAFT}"


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _remove_if_abandoned(draft: Path) -> bool:
    # Some network folders keep the locks of each machine apart.
    if f".{_host()}." not in draft.name:
        return False
    with contextlib.suppress(OSError):
        handle = os.open(draft, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()
        finally:
            os.close(handle)
        return True
    return False


def _sync_folder(folder: Path) -> None:
    # A rename lasts once its folder is on the disk; some network folders cannot promise that.
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in _CANNOT_SYNC:
            return
        raise
    try:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)
