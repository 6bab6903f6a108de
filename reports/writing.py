"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from taskmark.files import write_atomically
from taskmark.reports.manifest import manifest_bytes, read_manifest, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CURE = "choose another folder with --out or make room there"

MANIFEST = "files.sha256"
"""Name of the list of all files of a site, in its folder."""


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
