"""Where the files of a data set lie in its repository, whose owner may have moved them."""

from __future__ import annotations

import fnmatch
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data.public_data_sets import SOURCE_SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskmark.suites.real.data.public_data_sets import DataSet, Patterns, SourceSplit

    Files = dict[SourceSplit, Patterns]

_SHOWN = 6  # folders in a sentence


def find(data: DataSet, paths: Iterable[str]) -> Files | None:
    """The patterns of each split, or none if the splits are nowhere among these files.

    What the definition says comes first, then the same names in the folder `data`, and then in the
    only other folder that has them all, also as the hub's own conversion to Parquet has them.
    """
    paths = list(paths)
    if _have(paths, declared := dict(data.files)):
        return declared
    if data.format != "parquet" or data.some_parts:
        return None
    folders = {PurePosixPath(path).parent.as_posix() for path in paths}
    for alternatives in (
        [_within("data", data)],
        [_within(folder, data) for folder in folders],
        [_converted(PurePosixPath(data.files["train"][0]).parent.name, data)],
        [_converted(folder, data) for folder in _above(folders)],
    ):
        found = [files for files in alternatives if _have(paths, files)]
        if len(found) == 1:
            return found[0]
    return None


def matching(patterns: Iterable[str], paths: Iterable[str]) -> list[str]:
    """The files, among those at some paths, that patterns name; `*` stays within a folder."""
    patterns = list(patterns)
    return [path for path in paths if any(_fits(path, pattern) for pattern in patterns)]


def absent(data: DataSet, paths: Iterable[str], revision: str) -> TaskmarkError:
    """What to say where the splits are nowhere in a repository."""
    paths = list(paths)
    wanted = [pattern for split in SOURCE_SPLITS for pattern in data.files[split]]
    lacking = [pattern for pattern in wanted if not matching([pattern], paths)]
    count: dict[str, int] = {}
    for path in paths:
        folder = PurePosixPath(path).parent.as_posix()
        count[folder] = count.get(folder, 0) + 1
    shown = ", ".join(f"{folder} ({n} files)" for folder, n in sorted(count.items())[:_SHOWN])
    more = f" and {len(count) - _SHOWN} more" if len(count) > _SHOWN else ""
    return TaskmarkError(
        f"{data.repository} has no file {', '.join(lacking)} at the commit {revision[:12]}, nor "
        f"its splits in one other folder; its folders are {shown or 'none'}{more}: lock another "
        "commit with --revision, or name the files in datasets.toml."
    )


def _have(paths: list[str], files: Files) -> bool:
    return all(matching([pattern], paths) for patterns in files.values() for pattern in patterns)


def _fits(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


def _within(folder: str, data: DataSet) -> Files:
    names = {s: [PurePosixPath(p).name for p in patterns] for s, patterns in data.files.items()}
    return {split: tuple(_in(folder, name) for name in found) for split, found in names.items()}


def _converted(folder: str, data: DataSet) -> Files:
    """As the hub converts: a folder a configuration, in it one a split, "0000.parquet" in that."""
    names = {s: PurePosixPath(patterns[0]).name for s, patterns in data.files.items()}
    return {
        split: (_in(folder, f"{name.partition('-')[0]}/*.parquet"),)
        for split, name in names.items()
    }


def _in(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _above(folders: Iterable[str]) -> Iterator[str]:
    yield from {PurePosixPath(folder).parent.as_posix() for folder in folders}
