"""The decoded images of a table: memory-mapped arrays in the cache, made once."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import PIL
from filelock import FileLock
from PIL import Image

from taskmark.errors import TaskmarkError
from taskmark.suites.own.image_table import SPLITS, read_table
from taskmark.suites.real.data import arrays, duplicate_list
from taskmark.suites.real.data.decoding import CorruptImageError, decode
from taskmark.suites.real.data.duplicates import copies, sketch
from taskmark.suites.real.data.space import require_space
from taskmark.suites.task_data import Split, TaskData

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskmark.suites.own.image_table import Item

TEMPLATES = ("a photo of a {}.",)

_LARGEST = 224  # side of the stored images, pixels
_SHOWN = 3


def load_task(name: str, table: Path) -> TaskData:
    """The data of a task, memory-mapped; decoded first where it is not in the cache.

    Raises:
        TaskmarkError: if the table cannot be read, or an image is missing or was changed.
    """
    items = read_table(table)
    folder = place_of(table)
    if (facts := arrays.read_facts(folder)) is None:
        facts = decode_items(name, items, folder)
    splits = []
    for split in SPLITS:
        found = arrays.split_arrays(folder, split)
        images, file = found.images.transpose(0, 2, 3, 1), arrays.file(folder, split)
        splits.append(Split(images, found.labels, file, facts.pixels[split]))
    listed, n_test = duplicate_list.read(folder), facts.rows["test"]
    note = f"{name}: {listed.summary(n_test)}." if listed.are_many(n_test) else ""
    words = tuple(label.replace("_", " ") for label in facts.classes)
    return TaskData(words, TEMPLATES, *splits, note=note)


def place_of(table: Path) -> Path:
    """The folder of a table's decoded images, which hangs on its content alone."""
    return place_of_bytes(table.stem, table.read_bytes())


def place_of_bytes(task: str, table: bytes) -> Path:
    """See `place_of`."""
    return arrays.default_folder() / f"own-{task}-{hashlib.sha256(table).hexdigest()[:12]}"


def decode_items(name: str, items: Sequence[Item], folder: Path) -> arrays.Facts:
    """Decode all images of a task into a folder, unless they are there.

    Raises:
        TaskmarkError: if images cannot be read, were changed, or there is no space.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if (facts := arrays.read_facts(folder)) is not None:
                return facts
            return _decode(name, items, folder)
    except OSError as error:
        raise TaskmarkError(
            f"The decoded images of {name!r} cannot be written to {folder} ({error.strerror}); "
            "make room there, or name another folder by TASKMARK_DATA."
        ) from error


def find_pixel_copies(items: Sequence[Item], folder: Path) -> list[Item]:
    """The images of train and validation that test has too, pixel by pixel, in other files.

    Args:
        items: of all splits.
        folder: where they are decoded.
    """
    by_split = {split: [i for i in items if i.split == split] for split in SPLITS}
    test = sketch(arrays.split_arrays(folder, "test").images)
    return [
        by_split[split][row]
        for split in ("train", "validation")
        for _, row in copies(test, sketch(arrays.split_arrays(folder, split).images))
    ]


def _decode(name: str, items: Sequence[Item], folder: Path) -> arrays.Facts:
    classes = sorted({item.label for item in items})
    size = _size(name, items)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    needed = arrays.n_bytes(len(items), size)
    require_space(f"The decoded images of {name!r}", {draft.parent: needed})
    draft.mkdir()
    by_split = {split: [i for i in items if i.split == split] for split in SPLITS}
    for split, own in by_split.items():
        arrays.create(draft, split, len(own), size)
        target = arrays.writable(draft, split)
        with ThreadPoolExecutor() as threads:
            fill = functools.partial(_fill, target, size=size)
            wrong = [fault for fault in threads.map(fill, range(len(own)), own) if fault]
        if wrong:
            shutil.rmtree(draft, ignore_errors=True)
            raise _unreadable(name, wrong)
        target.labels[:] = [classes.index(item.label) for item in own]
        target.flush()
    found = {split: arrays.split_arrays(draft, split) for split in SPLITS}
    duplicate_list.write(duplicate_list.find(found, ()), draft)
    facts = arrays.Facts(
        repository=name,
        revision="",
        size=size,
        rows={split: len(own) for split, own in by_split.items()},
        classes=tuple(classes),
        validation="",
        removed=(),
        pixels={split: arrays.digest(own) for split, own in found.items()},
        pillow=PIL.__version__,
    )
    (draft / arrays.FACTS).write_text(facts.model_dump_json(indent=1), "utf-8")
    os.replace(draft, folder)  # noqa: PTH105 - atomic: the folder is whole or not there
    return facts


def _fill(target: arrays.Arrays, row: int, item: Item, *, size: int) -> str:
    """Decode one image into its row; what is wrong with it, if anything."""
    try:
        content = item.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != item.sha256:
            return f"{item.path} was changed since the suite was made"
        target.images[row] = decode(content, size=size, native=False)
    except (OSError, CorruptImageError) as error:
        return f"{item.path} cannot be read ({getattr(error, 'strerror', None) or error})"
    return ""


def _size(name: str, items: Sequence[Item]) -> int:
    """The side at which images are kept: 224, or less where all of them are smaller."""

    def shorter(item: Item) -> tuple[int, str]:
        try:
            with Image.open(item.path) as image:
                return min(image.size), ""
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            reason = getattr(error, "strerror", None) or "it is no image that Pillow reads"
            return 0, f"{item.path} cannot be read ({reason})"

    with ThreadPoolExecutor() as threads:
        found = [*threads.map(shorter, items)]
    if wrong := [fault for _, fault in found if fault]:
        raise _unreadable(name, wrong)
    return int(np.clip(max(side for side, _ in found), 1, _LARGEST))


def _unreadable(name: str, wrong: Sequence[str]) -> TaskmarkError:
    more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return TaskmarkError(
        f"{len(wrong)} of the images of {name!r} cannot be used: {'; '.join(wrong[:_SHOWN])}"
        f"{more}; mend or remove them, and make the suite again with `taskmark new suite`."
    )
