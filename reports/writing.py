"""Files appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.reports.manifest import manifest_bytes, read_manifest, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Write a file by way of a temporary one in the same folder, synced and then renamed.

    A file that has this content already is left alone.

    Args:
        path: of the file; its folder is made if need be.
        content: all of it.
        synced: whether to wait for the disk. Hundreds of pages that the next build would mend are
            not worth the minute that this takes.

    Raises:
        TaskmarkError: if the folder or the file cannot be written.
    """
    temporary = None
    try:
        if path.is_file() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise TaskmarkError(
            f"The file {str(path)!r} cannot be written ({error.strerror or error}); choose "
            "another folder with --out or make room there."
        ) from error
