"""Whether the fetched files are the bytes that were meant."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data.data_lock import LockedFile
from taskmark.suites.real.hub_files import anew, require_announced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FETCH = "taskmark data fetch"


def hashes(folder: Path, files: Sequence[Path]) -> dict[str, LockedFile]:
    """Size and SHA-256 of files, by their path within a snapshot.

    Raises:
        TaskmarkError: if a file in the hub's cache has other bytes than its name there says.
    """
    found = {}
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        name = file.relative_to(folder).as_posix()
        require_announced(file, digest, name=name, command=_FETCH)
        found[name] = LockedFile(size=file.stat().st_size, sha256=digest)
    return found


def require_same(
    found: Mapping[str, LockedFile],
    locked: Mapping[str, LockedFile],
    repository: str,
    folder: Path,
) -> None:
    """See that files are those of the lock; a lock without files allows any.

    Args:
        found: what is here.
        locked: what is locked.
        repository: whose files they are.
        folder: of the snapshot.

    Raises:
        TaskmarkError: if one is missing, is new, or has other bytes.
    """
    if not locked:
        return
    for path in sorted(locked.keys() | found.keys()):
        if path not in found:
            raise TaskmarkError(
                f"{path} of {repository} is missing; go on with `taskmark data fetch`."
            )
        if path not in locked:
            raise TaskmarkError(
                f"{path} of {repository} is not in the lock file; somebody put it there: "
                f"remove {folder / path}."
            )
        if found[path] != locked[path]:
            raise TaskmarkError(
                f"{path} of {repository} has the SHA-256 {found[path].sha256[:12]}, but "
                f"{locked[path].sha256[:12]} is locked: the file was changed upstream or on the "
                f"way; {anew(folder / path, _FETCH)}, or lock the new one on purpose."
            )
