"""Which weights of each backbone count: commit and hash, in the file `backbones.lock.toml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from taskmark.suites.real import lock_files
from taskmark.suites.real.lock_files import Commit, Sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("backbones.lock.toml")
"""The lock that is shipped; TASKMARK_BACKBONES_LOCK names another."""

_HEAD = (
    "# Written by `taskmark backbones lock`: the commit of each backbone's file on the hub, and "
    "its hash.\n# A backbone that is not in here is unresolved, and no suite that uses it may call "
    "itself frozen.\n"
)


class LockedBackbone(BaseModel):
    """The weights of one backbone.

    Attributes:
        revision: the full commit hash; none of weights that are drawn.
        sha256: of the file, or of the tensors that are drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: Commit | None = None
    sha256: Sha256


def lock_file() -> Path:
    """The lock that counts here."""
    return Path(os.environ.get("TASKMARK_BACKBONES_LOCK", FILE))


def read_lock(file: Path | None = None) -> dict[str, LockedBackbone]:
    """What is locked, by backbone.

    Raises:
        TaskmarkError: if there is no such file, or it is damaged.
    """
    return lock_files.read(file or lock_file(), LockedBackbone, command="taskmark backbones lock")


def write_lock(locks: Mapping[str, LockedBackbone], file: Path) -> None:
    """Write a lock file; a reader finds the old one or the new one, never half of one.

    Raises:
        TaskmarkError: if it cannot be written.
    """
    lock_files.write(locks, file, head=_HEAD, elsewhere="by TASKMARK_BACKBONES_LOCK")
