"""Resolve a data set: its newest commit, what is in it, and the hashes of what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.suites.real import lock_files
from taskmark.suites.real.data import hub, preparing, repository_paths, tasks
from taskmark.suites.real.data.data_lock import LockedDataSet
from taskmark.suites.real.data.public_data_sets import SOURCE_SPLITS, definition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.suites.real.data.preparing import Progress
    from taskmark.suites.real.data.public_data_sets import SourceSplit
    from taskmark.suites.real.data.tasks import Place


def resolve(
    task: str,
    place: Place,
    *,
    revision: str | None = None,
    size: int = tasks.RESOLUTION,
    workers: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> tuple[LockedDataSet, tuple[str, ...]]:
    """Fetch and decode a data set, and say all that a lock holds.

    Args:
        task: its name.
        place: where things lie; its lock file is not read.
        revision: a full commit hash; the newest one if not said.
        size: side of the images, pixels, unless they are of native size.
        workers: processes that decode.
        progress: called with how many images of how many are decoded.

    Returns:
        The lock, and what differs from the official splits, one sentence each.

    Raises:
        TaskmarkError: if the revision is no full hash, or the data cannot be fetched or decoded.
    """
    data = definition(task)
    if revision is not None:
        lock_files.require_commit(revision)
    commit = LockedDataSet(revision=revision or hub.newest(data))
    source, files = tasks.fetched(task, commit, place)
    folder = place.of(task, commit.revision, size=size)
    facts = preparing.prepare(source, folder, size=size, workers=workers, progress=progress)
    found = repository_paths.find(data, files) or data.files
    moved = () if found == data.files else (f"its files are {_named(found)}, not as defined",)
    rows = {s: sum(chunk.n_rows for chunk in source.chunks[s]) for s in SOURCE_SPLITS}
    surprises = tuple(
        f"{split} has {rows[split]} images, the official split {official}"
        for split, official in data.official_rows.items()
        if rows[split] != official
    )
    lock = LockedDataSet(
        revision=commit.revision,
        files=files,
        rows=rows,
        classes=facts.classes,
        validation=facts.validation,
        pixels={f"{split}@{facts.size}": digest for split, digest in facts.pixels.items()},
    )
    return lock, (*moved, *surprises)


def _named(files: Mapping[SourceSplit, Sequence[str]]) -> str:
    return " and ".join(pattern for split in SOURCE_SPLITS for pattern in files[split])
