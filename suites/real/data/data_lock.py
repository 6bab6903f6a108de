"""Which commit of each data set counts, and what is in it: the lock file, `datasets.lock.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from taskmark.errors import TaskmarkError
from taskmark.suites.real import lock_files
from taskmark.suites.real.data.public_data_sets import SourceSplit
from taskmark.suites.real.lock_files import Commit, Sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE = Path(__file__).with_name("datasets.lock.toml")

_HEAD = (
    "# Written by `taskmark data lock`: the commit, the files and the splits of each data set, "
    "with their\n# hashes. A data set that is not in here is unresolved, and no suite that uses it "
    "may call itself frozen.\n"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LockedFile(_Frozen):
    """A file of a repository: its bytes and their hash."""

    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


class LockedDataSet(_Frozen):
    """One data set at one commit.

    Attributes:
        revision: the full commit hash.
        files: by path within the repository.
        rows: images in each official split.
        classes: names in label order, as the files have them.
        validation: SHA-256 of the manifest of the validation split.
        pixels: SHA-256 of each split as it is decoded, by "split@side".
    """

    revision: Commit
    files: dict[str, LockedFile] = {}
    rows: dict[SourceSplit, Annotated[int, Field(gt=0)]] = {}
    classes: tuple[str, ...] = ()
    validation: Sha256 | None = None
    pixels: dict[str, Sha256] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not known yet; nothing, if a suite may call this data frozen."""
        parts = {
            "files": self.files,
            "rows": len(self.rows) == 2,  # noqa: PLR2004 - train and test
            "validation": self.validation,
            "pixels": self.pixels,
        }
        return tuple(name for name, value in parts.items() if not value)


def read_lock(file: Path = FILE) -> dict[str, LockedDataSet]:
    """What is locked, by task.

    Raises:
        TaskmarkError: if there is no such file, or it is damaged.
    """
    return lock_files.read(file, LockedDataSet, command="taskmark data lock")


def write_lock(locks: Mapping[str, LockedDataSet], file: Path) -> None:
    """Write a lock file; a reader finds the old one or the new one, never half of one."""
    lock_files.write(locks, file, head=_HEAD, elsewhere="with --lock")


def get_lock(task: str, locks: Mapping[str, LockedDataSet]) -> LockedDataSet:
    """The commit of a task's data.

    Raises:
        TaskmarkError: if it is not resolved.
    """
    require_resolved([task], locks)
    return locks[task]


def require_resolved(tasks: Iterable[str], locks: Mapping[str, LockedDataSet]) -> None:
    """See that the commits of all these tasks' data are known.

    Raises:
        TaskmarkError: if any is not; it names them all.
    """
    absent = [task for task in tasks if task not in locks]
    if absent:
        one = len(absent) == 1
        raise TaskmarkError(
            f"The data set{'' if one else 's'} {', '.join(map(repr, absent))} "
            f"{'is' if one else 'are'} unresolved: {'its' if one else 'their'} commit on the hub "
            f"is not known here; run `taskmark data lock {' '.join(absent)}` where there is a "
            "network."
        )


def require_frozen(task: str, locks: Mapping[str, LockedDataSet]) -> LockedDataSet:
    """The commit of a task's data, with all that a frozen suite needs to know of it.

    Raises:
        TaskmarkError: if anything is not known yet.
    """
    found = get_lock(task, locks)
    if found.missing:
        raise TaskmarkError(
            f"The data set {task!r} may not be called frozen: its lock lacks "
            f"{', '.join(found.missing)}; run `taskmark data lock {task}` where there is a network."
        )
    return found
