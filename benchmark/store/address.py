"""Where a store lies: its address, the folder of its version, and what earlier versions left."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import platformdirs

from taskmark.atomic_files import remove_file
from taskmark.errors import TaskmarkError

_FOLDER = "v2"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

# Earlier versions kept their artifacts in the root itself, beside which others may keep files.
_OLD_KINDS = (
    *("data", "data_test", "inputs", "inputs_test", "heads", "experts", "vectors", "normaliser"),
    *("records", "disentanglement", "negation", "localisation", "checkpoints"),
)
_OLD_ARTIFACT = re.compile(r"[0-9a-f]{64}(-\d{6}-\d{8})?\.(json|safetensors)(\.damaged)?")
_OLD_DRAFT = re.compile(r"\..+\.@[0-9a-f]{12}-\d+-\d+@(\.[0-9a-f]{8})?\.draft")
_OLD_LOCK = re.compile(
    r"[a-z_]+-([0-9a-f]{64}|@[0-9a-f]{12}-\d+-\d+@-[0-9a-f]{8})\.(lock|takeover)"
)


def default_store() -> Path:
    """The folder of artifacts: TASKMARK_STORE, or taskmark in the user's cache folder."""
    named = os.environ.get("TASKMARK_STORE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("taskmark"))


def parse_address(address: str | Path) -> Path:
    """Turn a path or a file:// URL into an absolute path.

    Raises:
        TaskmarkError: if it is a URL of another scheme or on another machine.
    """
    if isinstance(address, str) and _URL.match(address):
        parts = urlsplit(address)
        if parts.scheme.lower() != "file" or parts.netloc not in ("", "localhost"):
            raise TaskmarkError(
                f"The store {address!r} cannot be opened; give a folder of this machine, as a path "
                "or as file:///path."
            )
        address = unquote(parts.path)
    return Path(address).expanduser().resolve()


def folder_of(root: Path) -> Path:
    """The folder, in the root of a store, of all that this version of taskmark keeps."""
    return root / _FOLDER


def list_old_files(root: Path) -> list[Path]:
    """List what earlier versions of taskmark stored in a root; other files are not theirs."""
    rules = [(root / kind, _OLD_ARTIFACT) for kind in _OLD_KINDS]
    rules += [(folder, _OLD_DRAFT) for folder in (root, *(root / kind for kind in _OLD_KINDS))]
    rules.append((root / "locks", _OLD_LOCK))
    found: set[Path] = set()
    for folder, name in rules:
        with suppress(OSError):
            entries = (entry for entry in folder.iterdir() if name.fullmatch(entry.name))
            found.update(entry for entry in entries if entry.is_file() and not entry.is_symlink())
    return sorted(found)


def old_store_size(root: Path) -> int:
    """Bytes that earlier versions of taskmark left in a root."""
    return sum(size_of(path) for path in list_old_files(root))


def remove_old_files(root: Path) -> None:
    """Remove what earlier versions of taskmark stored in a root, and the folders that it leaves.

    Raises:
        TaskmarkError: if something cannot be removed.
    """
    for path in list_old_files(root):
        remove_file(path)
    for name in (*_OLD_KINDS, "locks"):
        with suppress(OSError):  # not there, or somebody else's files are in it
            (root / name).rmdir()


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if it is gone."""
    with suppress(OSError):
        return path.stat().st_size
    return 0
