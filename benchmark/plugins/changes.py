"""What a change touches: the methods whose code differs from an earlier commit, and submissions."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.plugins.registry import built_in
from taskmark.plugins.submission import FILE
from taskmark.records.provenance import git
from taskmark.store.keys import files_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.plugins.registry import Found


@dataclass(frozen=True, slots=True)
class Touched:
    """What differs: built-in methods by name, and folders of submissions."""

    methods: tuple[str, ...]
    submissions: tuple[Path, ...]


def changed_files(since: str, folder: Path) -> list[Path]:
    """The files of a working tree that differ from where it left an earlier commit.

    Args:
        since: what git calls the commit, such as "origin/main".
        folder: somewhere in the tree.

    Raises:
        TaskmarkError: if the folder is in no repository or the commit is not known there.
    """
    top = _git(folder, since, "rev-parse", "--show-toplevel").strip()
    base = _git(folder, since, "merge-base", since, "HEAD").strip()
    listed = _git(folder, since, "diff", "--name-only", "-z", base, "--")
    return [Path(top, name) for name in listed.split("\0") if name]


def changed_methods(since: str) -> tuple[str, ...]:
    """The built-in methods that this working tree changes; see `find_touched`."""
    own = {found.method.name: found for found in built_in()}
    return find_touched(changed_files(since, Path()), own, Path("submissions")).methods


def find_touched(files: list[Path], methods: Mapping[str, Found], submissions: Path) -> Touched:
    """Which methods and submissions a change of files touches.

    A change of the harness touches every method alike; it is the gate's business, not counted here.

    Args:
        files: that changed; they need not exist any more.
        methods: all built-in methods by name.
        submissions: the folder of submissions.
    """
    changed = {path.resolve() for path in files}
    names = []
    for name, found in sorted(methods.items()):
        home = found.source.resolve().parent
        own = {path.resolve() for path in files_of([found.source])}
        if any(path in changed for path in own if path.parent == home):
            names.append(name)
    top = submissions.resolve()
    folders = {
        folder
        for path in changed
        if top in path.parents
        for folder in path.parents
        if top in folder.parents and (folder / FILE).is_file()
    }
    return Touched(tuple(names), tuple(sorted(folders)))


def _git(folder: Path, since: str, *arguments: str) -> str:
    try:
        return git(folder, *arguments, seconds=60)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise TaskmarkError(
            f"What changed since {since!r} is unknown ({' '.join(said.split())[:200]}); run in "
            "a clone of taskmark, and name a commit that it has."
        ) from error
