"""Durable files: written whole or not at all, and nothing is left of those that were not."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.store.owners import Owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DRAFT = ".draft"
_LONGEST_DRAFT_SECONDS = 24 * 3600.0  # nobody takes so long to write one file
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}


def atomic_write(path: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file so that it is either whole or not there, even when the machine loses power.

    The draft beside it carries the tag of its process, so that `sweep` finds it should the process
    be killed.

    Args:
        path: of the file.
        content: all of it, or pieces in order, each written before the next is asked for.

    Raises:
        TaskmarkError: if the file cannot be written; no part of it is left.
    """
    name = f".{path.name[:80]}.{Owner.this().tag}.{secrets.token_hex(4)}{_DRAFT}"
    draft = path.with_name(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.writelines((content,) if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise TaskmarkError(
            f"The file {str(path)!r} cannot be written ({error.strerror}); "
            "free some space or choose another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def remove(path: Path) -> None:
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
    """Try whether files can be written to a folder, which is made if need be.

    Args:
        folder: where files are to go.
        option: how a user names another folder, such as "--out".

    Raises:
        TaskmarkError: if they cannot.
    """
    probe = folder / f".can-write.{Owner.this().tag}{_DRAFT}"  # swept, if nothing else removes it
    try:
        atomic_write(probe, b"")
    except TaskmarkError as error:
        why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
        raise TaskmarkError(
            f"The folder {str(folder)!r} cannot be written ({why}); free some space or choose "
            f"another{f' with {option}' if option else ''}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def drafts(folder: Path) -> Iterator[Path]:
    """The unfinished files of a folder and of those in it, whoever writes or wrote them."""
    for found in (folder, *_folders(folder)):
        yield from sorted(found.glob(f".*{_DRAFT}"))


def sweep(folder: Path) -> list[Path]:
    """Remove the drafts of processes that were killed.

    Those of another machine are removed a day after they were last written to, by the clock of
    the file system, since neither machine's own can be trusted.

    Returns:
        What was removed.
    """
    removed = []
    for draft in drafts(folder):
        owner = Owner.parse(draft.name)
        if owner is None or (owner.is_gone if owner.is_here else _is_old(draft)):
            with contextlib.suppress(OSError):
                draft.unlink()
                removed.append(draft)
    return removed


def _folders(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(entry for entry in folder.iterdir() if entry.is_dir())


def _is_old(draft: Path) -> bool:
    probe = draft.with_name(f".clock.{Owner.this().tag}.{secrets.token_hex(4)}{_DRAFT}")
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        age = probe.stat().st_mtime - draft.stat().st_mtime
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return age > _LONGEST_DRAFT_SECONDS


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
