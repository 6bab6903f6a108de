"""From a backbone's name to the file of its weights on this machine, and the file's hash.

The file lies in the hub's cache (HF_HOME), at the locked commit, or in the folder that the variable
TASKMARK_BACKBONES names, as `<backbone>.safetensors` (or .pt, .bin, .pth). The folder comes first.
Only `fetch` and `resolve` use the network.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub
from huggingface_hub.errors import LocalEntryNotFoundError

from taskmark.errors import TaskmarkError
from taskmark.suites.real import lock_files
from taskmark.suites.real.backbones.backbone_lock import LockedBackbone, read_lock
from taskmark.suites.real.backbones.public_backbones import definition
from taskmark.suites.real.hub_errors import in_sentences
from taskmark.suites.real.hub_files import anew, require_announced
from taskmark.suites.weight_files import SUFFIXES

if TYPE_CHECKING:
    from taskmark.suites.real.backbones.public_backbones import PublicBackbone


def find(name: str) -> Path:
    """The file of a backbone's weights; nothing is fetched.

    Raises:
        TaskmarkError: if there is no such backbone, its weights are drawn and not read, they are
            unresolved, or not on this machine.
    """
    backbone = definition(name)
    if local := _in_folder(name):
        return local
    lock = read_lock().get(name)
    if lock is None or lock.revision is None:
        raise TaskmarkError(
            f"The backbone {name!r} is unresolved: the commit of its weights is not known here; "
            f"run `taskmark backbones lock {name}` where there is a network, or lay the file as "
            f"{name}.safetensors into the folder that TASKMARK_BACKBONES names."
        )
    try:
        return _from_hub(backbone, lock.revision, local_files_only=True)
    except LocalEntryNotFoundError as error:
        raise TaskmarkError(
            f"The weights of the backbone {name!r} are not on this machine; get them with "
            f"`taskmark backbones fetch {name}`."
        ) from error


def checked(name: str) -> Path:
    """The file of a backbone's weights, whose hash is the locked one if any is.

    Raises:
        TaskmarkError: if it cannot be found, or has another hash.
    """
    path, lock = find(name), read_lock().get(name)
    if lock is not None and (found := digest(path)) != lock.sha256:
        raise TaskmarkError(
            f"The weights of the backbone {name!r} in {path} have the SHA-256 {found}, but "
            f"{lock.sha256} is locked; {anew(path, f'taskmark backbones fetch {name}')}."
        )
    return path


def fetch(name: str) -> Path:
    """Bring the weights of a backbone to this machine, at the locked commit, and check them.

    Raises:
        TaskmarkError: if they are unresolved, cannot be fetched, or have another hash.
    """
    backbone, lock = definition(name), read_lock().get(name)
    if _in_folder(name) is None and lock is not None and lock.revision is not None:
        _fetched(backbone, lock.revision)
    return checked(name)


def resolve(name: str, revision: str | None = None) -> LockedBackbone:
    """Fetch the weights of a backbone, and say what a lock holds of them.

    Args:
        name: of the backbone.
        revision: a full commit hash; the newest one if not said.

    Raises:
        TaskmarkError: if they are drawn and not fetched, the revision is no full hash, or they
            cannot be had.
    """
    backbone = definition(name)
    if backbone.seed is not None:
        raise TaskmarkError(
            f"The weights of the backbone {name!r} are drawn on this machine, so no commit holds "
            "them; lock it without --revision."
        )
    if revision is not None:
        lock_files.require_commit(revision)
    revision = revision or _newest(str(backbone.repository))
    path = _fetched(backbone, revision)
    found, command = digest(path), f"taskmark backbones lock {name}"
    require_announced(path, found, name=str(backbone.file), command=command)
    return LockedBackbone(revision=revision, sha256=found)


def digest(path: Path) -> str:
    """SHA-256 of a file; read anew only if it has changed."""
    seen = path.stat()
    return _digest(path, seen.st_size, seen.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_folder(name: str) -> Path | None:
    folder = os.environ.get("TASKMARK_BACKBONES")
    files = [Path(folder) / f"{name}{suffix}" for suffix in SUFFIXES] if folder else []
    return next((file for file in files if file.is_file()), None)


def _fetched(backbone: PublicBackbone, revision: str) -> Path:
    with in_sentences(str(backbone.repository), revision, command="taskmark backbones"):
        return _from_hub(backbone, revision)


def _from_hub(backbone: PublicBackbone, revision: str, *, local_files_only: bool = False) -> Path:
    return Path(
        huggingface_hub.hf_hub_download(
            str(backbone.repository),
            str(backbone.file),
            revision=revision,
            local_files_only=local_files_only,
        )
    )


def _newest(repository: str) -> str:
    with in_sentences(repository, "main", command="taskmark backbones"):
        found = huggingface_hub.HfApi().model_info(repository).sha
    if found is None:
        raise TaskmarkError(f"The hub names no commit of {repository}; ask again later.")
    return found
