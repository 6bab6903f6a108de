"""Decode a data set once, in parallel processes, to arrays; an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import PIL
from filelock import FileLock

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data import arrays, duplicate_list, shards
from taskmark.suites.real.data.arrays import FACTS, SPLITS, Arrays, Facts
from taskmark.suites.real.data.decoding import CorruptImageError, decode
from taskmark.suites.real.data.duplicates import copies, sketch
from taskmark.suites.real.data.public_data_sets import SOURCE_SPLITS
from taskmark.suites.real.data.space import require_space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from taskmark.suites.real.data.duplicate_list import DuplicateList
    from taskmark.suites.real.data.duplicates import Pair
    from taskmark.suites.real.data.public_data_sets import DataSet, SourceSplit
    from taskmark.suites.real.data.shards import Chunk
    from taskmark.suites.real.data.validation_split import Manifest

    Progress = Callable[[int, int], None]

_DONE = "done.txt"
_PLAN = "plan.json"
_SPARE = 1.02  # of the space that the arrays need


@dataclass(frozen=True, slots=True)
class DecodingJob:
    """What is decoded.

    Attributes:
        task: the name of the data set.
        data: its definition.
        revision: the commit.
        chunks: of each official split.
        classes: names as the files have them.
        manifest: which rows of train are validation.
        files: SHA-256 of the files, all of them in one.
    """

    task: str
    data: DataSet
    revision: str
    chunks: Mapping[SourceSplit, Sequence[Chunk]]
    classes: tuple[str, ...]
    manifest: Manifest
    files: str


@dataclass(frozen=True, slots=True)
class _Work:
    """One chunk: where its rows go to, and how its images are decoded."""

    name: str
    chunk: Chunk
    split: SourceSplit
    folder: Path
    size: int
    native: bool
    n_classes: int
    rows: tuple[tuple[str, NDArray[np.int64]], ...] = field(repr=False)  # (split, place or -1)


def prepare(
    source: DecodingJob,
    folder: Path,
    *,
    size: int,
    workers: int,
    progress: Progress = lambda _done, _total: None,
) -> Facts:
    """Decode all images of a data set into a folder, unless they are there.

    Args:
        source: the files.
        folder: gets the arrays; beside it lie a draft and a lock while they are made.
        size: side of the images, pixels; data of native size keeps its own.
        workers: processes; with 0 this one decodes.
        progress: called with how many images of how many are done.

    Raises:
        TaskmarkError: if images are corrupt or labels impossible, or there is no space. Nothing
            but a draft is there then.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if (facts := arrays.read_facts(folder)) is not None:
                return facts
            return _prepare(source, folder, source.data.native_size or size, workers, progress)
    except OSError as error:
        raise TaskmarkError(
            f"The decoded images of {source.task!r} cannot be written to {folder} "
            f"({error.strerror}); make room there, or name another folder by TASKMARK_DATA."
        ) from error


def _prepare(
    source: DecodingJob, folder: Path, size: int, workers: int, progress: Progress
) -> Facts:
    rows = {
        "train": len(source.manifest.train),
        "validation": len(source.manifest.validation),
        "test": sum(chunk.n_rows for chunk in source.chunks["test"]),
    }
    draft = folder.with_name(f".{folder.name}.draft")
    _begin(draft, source, size, rows)
    done = set((draft / _DONE).read_text("utf-8").split())
    works = list(_works(source, draft, size))
    total = sum(rows.values())
    n_done = sum(work.chunk.n_rows for work in works if work.name in done)
    progress(n_done, total)
    wrong: list[str] = []
    with (draft / _DONE).open("a", encoding="utf-8") as log:
        for work, found in _run([work for work in works if work.name not in done], workers):
            wrong += found
            if not found:
                # Its images are on the disk already: what is logged outlives a crash.
                log.write(f"{work.name}\n")
                log.flush()
                os.fsync(log.fileno())
            n_done += work.chunk.n_rows
            progress(n_done, total)
    if wrong:
        raise _corrupt(source, sorted(wrong))
    listed = _without_copies(source, draft)
    duplicate_list.write(listed, draft)
    splits = {split: arrays.split_arrays(draft, split) for split in SPLITS}
    facts = Facts(
        repository=source.data.repository,
        revision=source.revision,
        size=size,
        rows={split: len(found.labels) for split, found in splits.items()},
        classes=source.classes,
        validation=source.manifest.sha256,
        removed=listed.removed,
        pixels={split: arrays.digest(found) for split, found in splits.items()},
        pillow=PIL.__version__,
    )
    (draft / FACTS).write_text(facts.model_dump_json(indent=1), "utf-8")
    (draft / _DONE).unlink()
    os.replace(draft, folder)  # noqa: PTH105 - atomic: the folder is whole or not there
    return facts


def _without_copies(source: DecodingJob, draft: Path) -> DuplicateList:
    """Take images that test has too, pixel by pixel, out of train and validation."""
    # Rows are counted anew from here on: a draft that is left half done must be begun again.
    (draft / _PLAN).unlink()
    sketched = {split: sketch(arrays.split_arrays(draft, split).images) for split in SPLITS}
    official = {"train": source.manifest.train, "validation": source.manifest.validation}
    removed: list[Pair] = []
    for split, rows in official.items():
        found = copies(sketched["test"], sketched[split])
        if not found:
            continue
        kept = np.delete(np.arange(len(rows)), [row for _, row in found])
        if not len(kept):
            raise TaskmarkError(
                f"All images of {source.task!r} ({source.data.repository}) in the split {split} "
                "stand in test too; its files name a wrong split."
            )
        arrays.keep(draft, split, kept)
        sketched[split] = sketched[split].of(kept)
        removed += [(row, int(rows[other])) for row, other in found]
    return duplicate_list.found_in(sketched, sorted(removed))


def _begin(draft: Path, source: DecodingJob, size: int, rows: Mapping[str, int]) -> None:
    """Make the empty arrays, unless the draft of an interrupted run has them."""
    plan = json.dumps([source.revision, source.files, size, rows, PIL.__version__])
    if (draft / _PLAN).is_file() and (draft / _PLAN).read_text("utf-8") == plan:
        return
    shutil.rmtree(draft, ignore_errors=True)
    needed = sum(arrays.n_bytes(n_rows, size) for n_rows in rows.values()) * _SPARE
    require_space(f"The decoded images of {source.task!r}", {draft.parent: needed})
    draft.mkdir()
    for split, n_rows in rows.items():
        arrays.create(draft, split, n_rows, size)
    (draft / _DONE).touch()
    # The plan comes last: without it nothing of the draft counts.
    (draft / _PLAN).write_text(plan, "utf-8")


def _works(source: DecodingJob, draft: Path, size: int) -> Iterator[_Work]:
    manifest = source.manifest
    n_train = len(manifest.train) + len(manifest.validation)
    place = {name: np.full(n_train, -1) for name in ("train", "validation")}
    place["train"][manifest.train] = np.arange(len(manifest.train))
    place["validation"][manifest.validation] = np.arange(len(manifest.validation))
    for split in SOURCE_SPLITS:
        for number, chunk in enumerate(source.chunks[split]):
            there = slice(chunk.first, chunk.first + chunk.n_rows)
            rows = tuple((name, places[there]) for name, places in place.items())
            if split == "test":
                rows = (("test", np.arange(there.start, there.stop)),)
            yield _Work(
                name=f"{split}-{number}",
                chunk=chunk,
                split=split,
                folder=draft,
                size=size,
                native=source.data.native_size is not None,
                n_classes=source.data.n_classes,
                rows=rows,
            )


def _run(works: list[_Work], workers: int) -> Iterator[tuple[_Work, list[str]]]:
    if not workers or len(works) < 2:  # noqa: PLR2004 - one chunk has nothing to run beside
        for work in works:
            yield work, _decode_chunk(work)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(works)), mp_context=context) as pool:
        futures = {pool.submit(_decode_chunk, work): work for work in works}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise TaskmarkError(
                "A process that decoded images was ended from outside, perhaps for want of memory; "
                "go on with the same command, and fewer --workers."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _decode_chunk(work: _Work) -> list[str]:
    """Decode a chunk into the arrays, on the disk; what is wrong with it, one text an image."""
    encoded = shards.read(work.chunk)
    targets: list[tuple[Arrays, NDArray[np.int64]]] = [
        (arrays.writable(work.folder, split), places) for split, places in work.rows
    ]
    wrong = []
    for k, (content, label) in enumerate(zip(encoded.images, encoded.labels, strict=True)):
        where = f"row {work.chunk.first + k} of {work.split} in {work.chunk.file.name}"
        if label is None or not 0 <= label < work.n_classes:
            wrong.append(f"{where}: its label is {label}, not one of 0 to {work.n_classes - 1}")
            continue
        try:
            pixels = decode(content, size=work.size, native=work.native)
        except CorruptImageError as error:
            wrong.append(f"{where}: {error}")
            continue
        for target, places in targets:
            if places[k] >= 0:
                target.images[places[k]] = pixels
                target.labels[places[k]] = label
    for target, _ in targets:
        target.flush()
    return wrong


def files_digest(files: Mapping[str, str]) -> str:
    """One hash of the hashes of files."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def _corrupt(source: DecodingJob, wrong: list[str]) -> TaskmarkError:
    more = f"; also {'; '.join(wrong[1:3])}" if len(wrong) > 1 else ""
    return TaskmarkError(
        f"{len(wrong)} of the images of {source.task!r} ({source.data.repository}) cannot be used: "
        f"{wrong[0]}{more}. Fetch the files again, or lock another commit; none of it is used."
    )
