"""Manifests: what files there are and what is in them, one line each, as `sha256sum` has it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>\S.*)")


def sha256(content: bytes) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def manifest_bytes(hashes: Mapping[str, str]) -> bytes:
    """Write a manifest, path -> SHA-256, in the order of the paths."""
    return "".join(f"{hashes[path]}  {path}\n" for path in sorted(hashes)).encode()


def read_manifest(path: Path) -> dict[str, str]:
    """Read a manifest, path -> SHA-256; none where there is no such file.

    Raises:
        TaskmarkError: if it cannot be read or a line of it is none of a manifest.
    """
    try:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    except (OSError, UnicodeError) as error:
        raise TaskmarkError(
            f"The manifest {str(path)!r} cannot be read ({error}); delete it."
        ) from error
    found = {}
    for line in lines:
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise TaskmarkError(
                f"The manifest {str(path)!r} has the line {line[:80]!r}, which is no hash and "
                "path; delete the file."
            )
        found[matched["path"]] = matched["sha256"]
    return found
