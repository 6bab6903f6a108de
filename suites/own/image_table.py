"""The images of a task by path, label and split: read from folders or a table, kept as a table."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SPLITS = ("train", "validation", "test")
COLUMNS = ("path", "label", "split", "sha256")

_PATHS = ("path", "image", "file", "filename", "filepath")
_LABELS = ("label", "class", "category")
_SPLIT_NAMES = {"val": "validation", "valid": "validation", "dev": "validation"}
_TABLES = (".csv", ".tsv")
_LEAST = 3  # images of a class: one in each split
_SHOWN = 3  # names in a sentence


@dataclass(frozen=True, slots=True)
class Item:
    """One image.

    Attributes:
        path: of its file, absolute.
        label: the name of its class.
        split: "train", "validation" or "test"; empty while nobody has said.
        sha256: of the file's bytes; empty while it has not been read.
    """

    path: Path
    label: str
    split: str = ""
    sha256: str = ""


def read_source(task: str, source: Path) -> list[Item]:
    """List the images of a task, with the hash of each file.

    Args:
        task: its name, for sentences.
        source: a folder with one folder of images per class, or with such folders in `train`,
            `test` and maybe `validation`; or a table (.csv, .tsv) with columns `path` (relative to
            the table), `label` and maybe `split`.

    Raises:
        TaskmarkError: if it holds no such thing, or a class has no image.
    """
    if source.is_dir():
        items = _read_folder(task, source)
    elif source.suffix.lower() in _TABLES:
        items = _read_table(task, source)
    else:
        raise TaskmarkError(
            f"The images of {task!r} cannot be read from {str(source)!r}; give a folder with one "
            "folder of images per class, or a table (.csv) with the columns path and label."
        )
    return [*_hashed(items)]


def read_table(file: Path) -> list[Item]:
    """Read a table that `table_bytes` made.

    Raises:
        TaskmarkError: if it cannot be read or is damaged.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return [
                Item(_resolved(file, row["path"]), row["label"], row["split"], row["sha256"])
                for row in csv.DictReader(stream)
            ]
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise TaskmarkError(
            f"The table of images {str(file)!r} cannot be read ({error}); make the suite anew with "
            "`taskmark new suite`."
        ) from error


def table_bytes(items: Iterable[Item], folder: Path) -> bytes:
    """A table of images, whose paths are relative to the folder that it is written to."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in items:
        path = Path(os.path.relpath(item.path, folder)).as_posix()
        writer.writerow((path, item.label, item.split, item.sha256))
    return text.getvalue().encode()


def drop_repeated(task: str, items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """Keep each image once: of copies in several splits that of test, then that of validation.

    Returns:
        The images, and what was left out in sentences.

    Raises:
        TaskmarkError: if one image has two labels.
    """
    order = {split: place for place, split in enumerate(("test", "validation", "train", ""))}
    kept: dict[str, Item] = {}
    repeated: Counter[str] = Counter()
    example: dict[str, tuple[Path, Path]] = {}
    for item in sorted(items, key=lambda item: (order[item.split], item.path)):
        first = kept.setdefault(item.sha256, item)
        if first is item:
            continue
        if first.label != item.label:
            raise TaskmarkError(
                f"One image of {task!r} has two labels: {str(first.path)!r} is {first.label!r}, "
                f"and its copy {str(item.path)!r} is {item.label!r}; remove one of them."
            )
        where = "" if first.split == item.split else f" in {item.split} and {first.split}"
        repeated[where] += 1
        example.setdefault(where, (first.path, item.path))
    sentences = []
    for where, n in repeated.items():
        one, other = example[where]
        word = "image stands" if n == 1 else "images stand"
        sentences.append(f"{n} {word} twice{where}, such as {one} and {other}; one copy is kept.")
    left = {id(item) for item in kept.values()}
    return [item for item in items if id(item) in left], sentences


def assign_splits(task: str, items: Sequence[Item]) -> list[Item]:
    """Give every image a split.

    Where nobody said any: of each class a fifth is test and a tenth of the rest validation, at
    least one image each, by the order of the files' hashes, so that an image that is added later
    leaves most others where they are. Where train and test are given alone, validation is taken
    from train likewise.

    Raises:
        TaskmarkError: if a class has too few images, or only test has it.
    """
    given = {item.split for item in items}
    if "" in given and len(given) > 1:
        n = sum(not item.split for item in items)
        raise TaskmarkError(
            f"{n} images of {task!r} have no split and others do; say train, validation or test "
            "of all of them, or of none."
        )
    by_class: dict[str, list[Item]] = {}
    for item in items:
        by_class.setdefault(item.label, []).append(item)
    if given != {""}:
        _check_given(task, given, by_class)
    if given == set(SPLITS):
        return list(items)
    found = {}
    for label, own in by_class.items():
        train = sorted((i for i in own if i.split in ("", "train")), key=lambda i: i.sha256)
        n_test = max(1, round(len(own) / 5)) if given == {""} else 0
        n_validation = max(1, round((len(train) - n_test) / 10))
        if len(train) - n_test - n_validation < 1:
            least = _LEAST if given == {""} else 2
            raise TaskmarkError(
                f"The class {label!r} of {task!r} has {len(train)} "
                f"image{'' if len(train) == 1 else 's'} to take its splits from, and needs "
                f"{least}; add some, or leave the class out."
            )
        for place, item in enumerate(train):
            split = "test" if place < n_test else "train"
            split = "validation" if n_test <= place < n_test + n_validation else split
            found[item.path] = replace(item, split=split)
    return [found.get(item.path, item) for item in items]


def _check_given(task: str, given: set[str], by_class: dict[str, list[Item]]) -> None:
    for split in ("train", "test"):
        if split not in given:
            raise TaskmarkError(
                f"The images of {task!r} have the splits {', '.join(sorted(given))} and no "
                f"{split}; add it, or name no splits, and they are made."
            )
    for label, own in by_class.items():
        if all(item.split != "train" for item in own):
            where = " and ".join(sorted({item.split for item in own}))
            raise TaskmarkError(
                f"Only {where} of {task!r} has the class {label!r}, so that no model can learn it; "
                "add images of it to train, or leave it out."
            )


def _read_folder(task: str, source: Path) -> list[Item]:
    folders = _subfolders(source)
    splits = {_SPLIT_NAMES.get(f.name.lower(), f.name.lower()): f for f in folders}
    if folders and splits.keys() <= set(SPLITS):
        return [
            item
            for split in SPLITS
            if split in splits
            for item in _classes(task, splits[split], split)
        ]
    return _classes(task, source, "")


def _classes(task: str, source: Path, split: str) -> list[Item]:
    folders = _subfolders(source)
    found = {folder: [*_images(folder)] for folder in folders}
    if not any(found.values()):
        loose = [*_images(source)]
        files = [path.name for path in sorted(source.rglob("*")) if path.is_file()]
        what = (
            f"{len(loose)} images and no folder per class"
            if loose
            else f"no image, but {len(files)} other files{_such_as(files)}"
        )
        raise TaskmarkError(
            f"The folder {str(source)!r} of {task!r} holds {what}; give a folder with one folder "
            "of images per class, or a table (.csv) with the columns path and label."
        )
    for folder, images in found.items():
        if not images:
            raise TaskmarkError(
                f"The class {folder.name!r} of {task!r} is empty: {str(folder)!r} holds no image; "
                "add some, or remove the folder."
            )
    return [Item(p.resolve(), folder.name, split) for folder, own in found.items() for p in own]


def _read_table(task: str, source: Path) -> list[Item]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            delimiter = "\t" if source.suffix.lower() == ".tsv" else ","
            rows = [*csv.DictReader(stream, delimiter=delimiter)]
    except (OSError, ValueError, csv.Error) as error:
        raise TaskmarkError(
            f"The table {str(source)!r} of {task!r} cannot be read ({error}); give a CSV file in "
            "UTF-8."
        ) from error
    columns = list(rows[0]) if rows else []
    path, label = (next((c for c in names if c in columns), None) for names in (_PATHS, _LABELS))
    if path is None or label is None:
        raise TaskmarkError(
            f"The table {str(source)!r} of {task!r} has the columns {', '.join(columns) or 'none'}"
            "; name those of paths and labels path and label."
        )
    items = []
    for number, row in enumerate(rows, 2):
        split = (row.get("split") or "").strip().lower()
        split = _SPLIT_NAMES.get(split, split)
        if split not in ("", *SPLITS) or not row[path] or not row[label]:
            raise TaskmarkError(
                f"Line {number} of {str(source)!r} has the path {row[path]!r}, the label "
                f"{row[label]!r} and the split {split!r}; give a path, a label and, if you want, "
                "train, validation or test."
            )
        items.append(Item(_resolved(source, row[path]), row[label], split))
    if missing := [str(item.path) for item in items if not item.path.is_file()]:
        raise TaskmarkError(
            f"{len(missing)} images of the table {str(source)!r} are not there"
            f"{_such_as(missing)}; paths are relative to the table."
        )
    return items


def _hashed(items: list[Item]) -> Iterator[Item]:
    def of_file(item: Item) -> Item:
        with item.path.open("rb") as file:
            return replace(item, sha256=hashlib.file_digest(file, "sha256").hexdigest())

    with ThreadPoolExecutor() as threads:
        yield from threads.map(of_file, items)


def _resolved(table: Path, path: str) -> Path:
    return Path(os.path.abspath(table.parent / path))  # noqa: PTH100 - links stay links


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind != "PDF"}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith("."):
            yield path


def _such_as(names: Sequence[str]) -> str:
    return f" such as {', '.join(names[:_SHOWN])}" if names else ""
