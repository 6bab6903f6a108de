"""The tasks of the real suites, ready for use: fetched, checked, decoded once, memory-mapped."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data import (
    arrays,
    duplicate_list,
    hub,
    preparing,
    repository_paths,
    shards,
)
from taskmark.suites.real.data.data_lock import FILE as LOCK_FILE
from taskmark.suites.real.data.data_lock import LockedDataSet, LockedFile, get_lock, read_lock
from taskmark.suites.real.data.public_data_sets import SOURCE_SPLITS, definition
from taskmark.suites.real.data.validation_split import manifest
from taskmark.suites.real.hub_files import anew, require_announced
from taskmark.suites.task_data import Split, TaskData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.suites.real.data.arrays import Facts
    from taskmark.suites.real.data.preparing import DecodingJob, Progress
    from taskmark.suites.real.data.public_data_sets import DataSet


_FETCH = "taskmark data fetch"


def hashes(folder: Path, files: Sequence[Path]) -> dict[str, LockedFile]:
    """Size and SHA-256 of files, by their path within a snapshot.

    Raises:
        TaskmarkError: if a file in the hub's cache has other bytes than its name there says.
    """
    found = {}
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        name = file.relative_to(folder).as_posix()
        require_announced(file, digest, name=name, command=_FETCH)
        found[name] = LockedFile(size=file.stat().st_size, sha256=digest)
    return found


def require_same(
    found: Mapping[str, LockedFile],
    locked: Mapping[str, LockedFile],
    repository: str,
    folder: Path,
) -> None:
    """See that files are those of the lock; a lock without files allows any.

    Args:
        found: what is here.
        locked: what is locked.
        repository: whose files they are.
        folder: of the snapshot.

    Raises:
        TaskmarkError: if one is missing, is new, or has other bytes.
    """
    if not locked:
        return
    for path in sorted(locked.keys() | found.keys()):
        if path not in found:
            raise TaskmarkError(
                f"{path} of {repository} is missing; go on with `taskmark data fetch`."
            )
        if path not in locked:
            raise TaskmarkError(
                f"{path} of {repository} is not in the lock file; somebody put it there: "
                f"remove {folder / path}."
            )
        if found[path] != locked[path]:
            raise TaskmarkError(
                f"{path} of {repository} has the SHA-256 {found[path].sha256[:12]}, but "
                f"{locked[path].sha256[:12]} is locked: the file was changed upstream or on the "
                f"way; {anew(folder / path, _FETCH)}, or lock the new one on purpose."
            )


RESOLUTION = 224
_SUN_FOLDER = re.compile(r"^/?[a-z]/")  # SUN397 sorts its scenes into folders by initial


@dataclass(frozen=True, slots=True)
class Place:
    """Where things lie on this machine.

    Attributes:
        lock: the lock file; TASKMARK_DATA_LOCK, or the one that is shipped.
        arrays: folder of decoded data.
        cache: the hub's cache, its own default if not said.
    """

    lock: Path = field(
        default_factory=lambda: Path(os.environ.get("TASKMARK_DATA_LOCK", LOCK_FILE))
    )
    arrays: Path = field(default_factory=arrays.default_folder)
    cache: Path | None = None

    def of(self, task: str, revision: str, *, size: int = RESOLUTION) -> Path:
        """The folder of a task's decoded images."""
        size = definition(task).native_size or size
        return self.arrays / f"{task}-{revision[:12]}-{size}"


def load(task: str, place: Place | None = None, *, size: int = RESOLUTION) -> TaskData:
    """The data of a task, memory-mapped; nothing is fetched and no image is read.

    Args:
        task: its name.
        place: where things lie.
        size: side of the images, pixels; data of native size keeps its own.

    Raises:
        TaskmarkError: if it is not decoded, or is not what is locked, or its classes have no names.
    """
    place = place or Place()
    data, lock = definition(task), get_lock(task, read_lock(place.lock))
    folder = place.of(task, lock.revision, size=size)
    if (facts := arrays.read_facts(folder)) is None:
        raise TaskmarkError(
            f"The data set {task!r} is not on this machine ({folder}); get it with "
            f"`taskmark data fetch {task}`."
        )
    require_locked(task, facts, lock)
    splits = []
    for split in arrays.SPLITS:
        found = arrays.split_arrays(folder, split)
        images, file = found.images.transpose(0, 2, 3, 1), arrays.file(folder, split)
        splits.append(Split(images, found.labels, file, facts.pixels[split]))
    named = words(task, data, facts.classes)
    return TaskData(named, data.templates, *splits, note=_note(task, folder, facts))


def _note(task: str, folder: Path, facts: Facts) -> str:
    listed, n_test = duplicate_list.read(folder), facts.rows["test"]
    return f"{task}: {listed.summary(n_test)}." if listed.are_many(n_test) else ""


def obtain(
    task: str,
    lock: LockedDataSet,
    place: Place,
    *,
    size: int = RESOLUTION,
    workers: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> Facts:
    """Fetch, check and decode a task's data, as far as that was not done before.

    Raises:
        TaskmarkError: if any of it fails; see `hub.fetch`, `checking` and `preparing.prepare`.
    """
    folder = place.of(task, lock.revision, size=size)
    if (facts := arrays.read_facts(folder)) is None:
        source, _ = fetched(task, lock, place)
        facts = preparing.prepare(source, folder, size=size, workers=workers, progress=progress)
    require_locked(task, facts, lock)
    return facts


def fetched(
    task: str, lock: LockedDataSet, place: Place
) -> tuple[DecodingJob, dict[str, LockedFile]]:
    """Fetch a task's files and check them; what can be decoded, and the hashes of the files.

    Raises:
        TaskmarkError: if they cannot be had, or are not the files of the lock.
    """
    data = definition(task)
    snapshot = hub.fetch(
        data,
        lock.revision,
        files={path: file.size for path, file in lock.files.items()},
        cache=place.cache,
        decoded={place.arrays: _decoded_bytes(data, lock)},
    )
    here = [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*")]
    patterns = repository_paths.find(data, lock.files or here) or data.files
    files = {
        split: hub.matching(snapshot, patterns[split], data, some_parts=split in data.some_parts)
        for split in SOURCE_SPLITS
    }
    class_file = None
    if data.class_file:
        (class_file,) = hub.matching(snapshot, [data.class_file], data)
    everything = [file for split in SOURCE_SPLITS for file in files[split]]
    found = hashes(snapshot, [*everything, class_file] if class_file else everything)
    require_same(found, lock.files, data.repository, snapshot)
    chunks = {split: shards.chunks(files[split], data) for split in SOURCE_SPLITS}
    rows = {split: sum(chunk.n_rows for chunk in chunks[split]) for split in SOURCE_SPLITS}
    if lock.rows and rows != lock.rows:
        raise TaskmarkError(
            f"The data set {task!r} has {rows} images, but {lock.rows} are locked; remove its "
            "files from the hub's cache, and fetch it again."
        )
    names = shards.class_names(files["train"], data, class_file)
    words(task, data, names)
    source = preparing.DecodingJob(
        task=task,
        data=data,
        revision=lock.revision,
        chunks=chunks,
        classes=names,
        manifest=manifest(rows["train"]),
        files=preparing.files_digest({path: file.sha256 for path, file in found.items()}),
    )
    return source, found


def _decoded_bytes(data: DataSet, lock: LockedDataSet) -> int:
    rows = lock.rows or data.official_rows
    return arrays.n_bytes(sum(rows.values()), data.native_size or RESOLUTION)


def words(task: str, data: DataSet, names: tuple[str, ...]) -> tuple[str, ...]:
    """The classes in words, in label order.

    Names that repeat in the files, as ImageNet's two cranes do, get their label: "crane (134)".

    Raises:
        TaskmarkError: if there are none, or they stand in another order than the files' names.
    """
    read = tuple(_in_words(data.misspelt.get(name, name)) for name in names)
    if not data.words:
        if not read:
            raise TaskmarkError(
                f"The files of {task!r} ({data.repository}) do not name its classes; give "
                "them as `words` in its definition."
            )
        times = Counter(read)
        return tuple(
            f"{name} ({label})" if times[name] > 1 else name for label, name in enumerate(read)
        )
    lower = [name.lower() for name in read]
    declared = [word.lower() for word in data.words]
    if sorted(lower) == sorted(declared) and lower != declared:
        raise TaskmarkError(
            f"The classes of {task!r} stand in another order in {data.repository} than in its "
            f"definition: {', '.join(lower[:3])} ..., not {', '.join(declared[:3])} ...; lock the "
            "commit that the definition was written for."
        )
    return data.words


def require_locked(task: str, facts: Facts, lock: LockedDataSet) -> None:
    """See that decoded data is what is locked, as far as the lock says.

    Raises:
        TaskmarkError: if it is not.
    """
    for split, digest in facts.pixels.items():
        locked = lock.pixels.get(f"{split}@{facts.size}", digest)
        if locked != digest:
            raise TaskmarkError(
                f"The decoded split {split} of {task!r} has the SHA-256 {digest[:12]}, but "
                f"{locked[:12]} is locked; it was decoded by Pillow {facts.pillow}: use the "
                "version that the lock was made with, remove the folder and decode again."
            )
    if lock.validation and lock.validation != facts.validation:
        raise TaskmarkError(
            f"The validation split of {task!r} is not the one that is locked: "
            f"{facts.validation[:12]}, not {lock.validation[:12]}; reinstall taskmark."
        )


def _in_words(name: str) -> str:
    return " ".join(_SUN_FOLDER.sub("", name).replace("_", " ").replace("/", " ").split())
