"""Files in the hub's cache, where each is a link to a blob whose name is the hash of its bytes.

The blob may be a link in turn, to a store that all repositories share and that has other names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from pathlib import Path

_BLOB_OF_LFS = re.compile(r"[0-9a-f]{64}")


def require_announced(file: Path, sha256: str, *, name: str, command: str) -> None:
    """See that a file has the bytes that the hub announced, where the name of its blob tells.

    Args:
        file: in a snapshot of the cache.
        sha256: of its bytes.
        name: what it is to a user.
        command: that fetches it.

    Raises:
        TaskmarkError: if it has others.
    """
    announced = file.readlink().name if file.is_symlink() else file.name
    if _BLOB_OF_LFS.fullmatch(announced) and announced != sha256:
        raise TaskmarkError(
            f"{name} in the hub's cache is damaged: it has the SHA-256 {sha256[:12]} and not "
            f"{announced[:12]}; {anew(file, command)}."
        )


def anew(file: Path, command: str) -> str:
    """How a file is fetched anew: links alone would be made again to the same bytes."""
    return f"remove {file.resolve()}, and fetch it again with `{command}`"
