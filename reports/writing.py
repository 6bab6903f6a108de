"""Write the files of a site, each whole or not at all, and remove what a former build left."""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CURE = "choose another folder with --out or make room there"

MANIFEST = "files.sha256"
"""Name of the list of all files of a site, in its folder: a line each, as `sha256sum` has it."""

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>\S.*)")


def replace_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files of a folder, with a manifest, and delete what a former call made there.

    Nothing else is deleted: neither a file that no manifest lists, nor one that somebody changed
    since it was written.

    Args:
        folder: where they go.
        files: path within the folder -> content.

    Raises:
        TaskmarkError: if a file cannot be written, or the former manifest cannot be read.
    """
    manifest = folder / MANIFEST
    former = read_manifest(manifest)
    now = {path: sha256(content) for path, content in files.items()}
    # The list of both comes first: a call that is cut short leaves no file that no list has.
    write(manifest, manifest_bytes(former | now), synced=False)
    for path, content in files.items():
        write(folder / path, content, synced=False)
    for path in former.keys() - now.keys():
        old = (folder / path).resolve()
        inside = old.is_relative_to(folder.resolve())
        if inside and old.is_file() and sha256(old.read_bytes()) == former[path]:
            old.unlink()
    write(manifest, manifest_bytes(now), synced=False)


def write(path: Path, content: bytes, *, synced: bool = True) -> None:
    """Write a file, whole or not at all; one that has this content already is left alone.

    Args:
        path: of the file; its folder is made if need be.
        content: all of it.
        synced: whether to wait for the disk. Hundreds of pages that the next build would mend are
            not worth the minute that this takes.

    Raises:
        TaskmarkError: if the folder or the file cannot be written.
    """
    with contextlib.suppress(OSError):  # what cannot be read is written
        if path.is_file() and path.read_bytes() == content:
            return
    write_atomically(path, content, cure=_CURE, sync=synced)


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
