"""Locks: who makes which artifact now, among all processes that share a store.

A lock saves work and guards nothing: what two processes make at once is the same, is written whole,
and is verified when read. So a lock may be taken over on good evidence rather than on proof.

`filelock` has a lease with a heartbeat, but it takes a stale one over by exchanging two names,
which network folders refuse, and waits for ever where an owner was killed before it wrote its name.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from taskmark.errors import TaskmarkError
from taskmark.store.owners import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0

_LOCK, _TAKEOVER = ".lock", ".takeover"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A lock file as it was found: its content, and what changes with every heartbeat."""

    content: bytes
    beat: tuple[int, int]

    @property
    def owner(self) -> Owner | None:
        """Whose it is; None while it is being written, or if it is damaged."""
        return Owner.parse(self.content.decode("ascii", "replace"))

    @property
    def host(self) -> str:
        """Whose it is, for people."""
        try:
            holder = json.loads(self.content)
            return f"process {int(holder['pid'])} on {str(holder['host'])[:60]}"
        except (ValueError, KeyError, TypeError, RecursionError):
            return "another process"


class Locks:
    """The locks that this process holds in a folder; use it as a context manager.

    While it is open, a thread touches each lock every `heartbeat` seconds. The lock of a process
    that ended on this machine is stale at once. That of another machine's process is stale once
    nobody touched it for `stale` seconds, as this process's own clock counts them, from when it
    first looked; so no clock that is wrong or jumps makes a lock stale.

    Args:
        folder: made if need be.
        heartbeat: seconds between two touches.
        stale: seconds without one after which a lock is taken over.
    """

    def __init__(
        self,
        folder: Path,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        stale: float = STALE_SECONDS,
    ) -> None:
        self._folder = folder
        self._heartbeat, self._stale = heartbeat, stale
        self._held: dict[str, bytes] = {}
        self._watched: dict[str, tuple[Seen, float]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_lock(self._folder, error) from error
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        for name in list(self._held):
            self.release(name)

    def take(self, name: str) -> bool:
        """Take a lock if nobody who lives holds it.

        Raises:
            TaskmarkError: if the folder cannot be written.
        """
        path = self._folder / f"{name}{_LOCK}"
        content = _written_by_this_process()
        if not _create(path, content):
            found = _look(path)
            if found is None or not self._is_stale(path.name, found):
                return False
            if not self._take_over(path, found, content):
                return False
            _log.info("The lock %s of %s was taken over.", name, found.host)
        self._watched.pop(path.name, None)
        self._held[name] = content
        return True

    def release(self, name: str) -> None:
        """Give a lock back, unless somebody took it over meanwhile."""
        content = self._held.pop(name, None)
        path = self._folder / f"{name}{_LOCK}"
        found = _look(path)
        if found and found.content == content:
            with contextlib.suppress(OSError):
                path.unlink()

    def holder(self, name: str) -> str:
        """Who holds a lock, for people."""
        found = _look(self._folder / f"{name}{_LOCK}")
        return found.host if found else "another process"

    def sweep(self) -> list[str]:
        """Remove the locks of processes of this machine that ended, and return their names."""
        removed = []
        for claim in self._folder.glob(f"*{_TAKEOVER}"):
            if _is_gone(_look(claim)):
                with contextlib.suppress(OSError):
                    claim.unlink()
        for path in sorted(self._folder.glob(f"*{_LOCK}")):
            name = path.name.removesuffix(_LOCK)
            if _is_gone(_look(path)) and self.take(name):
                self.release(name)
                removed.append(name)
        return removed

    def _is_stale(self, file: str, found: Seen) -> bool:
        owner = found.owner
        if owner is not None and owner.is_here:
            return owner.is_gone
        now = time.monotonic()
        before, since = self._watched.get(file, (None, now))
        if before != found:
            self._watched[file] = (found, now)
            return False
        return now - since >= self._stale

    def _take_over(self, path: Path, stale: Seen, content: bytes) -> bool:
        # Of all that found it stale, the one that makes this file looks once more, and moves it
        # over the lock: in one step, so that the lock is never without an owner.
        claim = path.with_suffix(_TAKEOVER)
        if not _create(claim, content):
            other = _look(claim)
            if other and self._is_stale(claim.name, other):
                with contextlib.suppress(OSError):
                    claim.unlink()
            return False
        found = _look(path)
        if found is None or found.content != stale.content:
            with contextlib.suppress(OSError):
                claim.unlink()
            return False
        try:
            claim.replace(path)
        except OSError as error:
            raise _cannot_lock(path, error) from error
        return True

    def _beat(self) -> None:
        while not self._closing.wait(self._heartbeat):
            for name, content in list(self._held.items()):
                path = self._folder / f"{name}{_LOCK}"
                found = _look(path)
                if found and found.content == content:
                    with contextlib.suppress(OSError):
                        os.utime(path)


def living(folder: Path) -> Iterator[str]:
    """Who holds locks in a folder, for people; those who ended on this machine do not count."""
    for path in sorted(folder.glob(f"*{_LOCK}")):
        found = _look(path)
        if found and not _is_gone(found):
            yield found.host


def _is_gone(found: Seen | None) -> bool:
    return bool(found and found.owner and found.owner.is_gone)


def _written_by_this_process() -> bytes:
    owner = Owner.this()
    content = {"owner": owner.tag, "pid": owner.pid, "host": socket.gethostname()}
    return json.dumps({**content, "token": secrets.token_hex(8)}).encode()


def _create(path: Path, content: bytes) -> bool:
    """Make a file unless it is there; of several processes, one alone makes it."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise _cannot_lock(path, error) from error
    try:
        os.write(handle, content)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise _cannot_lock(path, error) from error
    finally:
        os.close(handle)
    return True


def _look(path: Path) -> Seen | None:
    # Opened, because network folders answer a question about a closed file from memory.
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            return Seen(file.read(1024), (facts.st_mtime_ns, facts.st_ino))
    except OSError:
        return None


def _cannot_lock(path: Path, error: OSError) -> TaskmarkError:
    return TaskmarkError(
        f"The lock {str(path)!r} cannot be written ({error.strerror}); "
        "free some space or choose another store."
    )
