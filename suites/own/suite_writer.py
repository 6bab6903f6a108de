"""Writing a suite of your own: its tables of images, and a definition that runs as it stands."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError
from taskmark.suites.own import decoded, library_models
from taskmark.suites.own.image_table import (
    SPLITS,
    assign_splits,
    drop_repeated,
    read_source,
    table_bytes,
)
from taskmark.suites.real.data import arrays, duplicate_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.suites.own.image_table import Item

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_UNRESOLVED = "unresolved"
_MOST_PAIRS = 4

_HEAD = """\
# A suite of your own. It is not frozen: records carry the hashes of the data and weights that a run
# finds, and have boards of their own. The tables beside this file hold the splits, with the hash of
# each image. Edit the protocol before the first run; what differs later has another board.
"""

_PROTOCOL: dict[str, Any] = {
    "trials": 11,
    "gradient_images": 20000,
    "probe_strengths": [1e-4, 1e-3, 1e-2, 1e-1, 1.0],
    "batch_size": 64,
    "standard": {
        "learning_rate": 3e-5,
        "weight_decay": 0.1,
        "warmup": 0.1,
        "clip_norm": 1.0,
        "epochs": 10,
        "batch_size": 32,
    },
    "disentanglement": {
        "alphas": [-1.0, -0.5, 0.0, 0.5, 1.0],
        "n_images": 100,
        "images": "drawn",
    },
    "localisation": {"images": "drawn"},
    "negation": {"controls": 1, "keep": 0.95},
}


@dataclass(frozen=True, slots=True)
class NewSuite:
    """What was written.

    Attributes:
        file: the definition.
        sentences: what to know of each task.
    """

    file: Path
    sentences: tuple[str, ...]


def write_suite(
    name: str, tasks: Mapping[str, Path], backbones: Sequence[str], folder: Path
) -> NewSuite:
    """Read the images of all tasks, make their splits, and write tables and definition.

    Args:
        name: of the suite.
        tasks: folder or table by the name of the task, see `image_table.read_source`.
        backbones: see `library_models.parse`; paths of files count from the working folder.
        folder: to write to; it may not hold the suite yet.

    Raises:
        TaskmarkError: if a name, a model or the images of a task cannot be used.
    """
    for what, word in [("suite", name), *(("task", task) for task in tasks)]:
        if not _NAME.fullmatch(word):
            raise TaskmarkError(
                f"The {what} name {word!r} cannot be used; begin with a letter, and write lower "
                "case letters, digits, - and _."
            )
    if len(tasks) < 2:  # noqa: PLR2004 - one model has nothing to be merged with
        raise TaskmarkError(
            f"A suite needs two tasks to merge, and {name!r} has {len(tasks)}; give --task twice."
        )
    file = folder / f"{name}.toml"
    if file.exists():
        raise TaskmarkError(
            f"The file {str(file)!r} is there already; move it away, or choose another name."
        )
    entries = _backbones(backbones, folder)
    made = {task: _make_table(task, source, folder) for task, source in tasks.items()}
    pairs = [*itertools.combinations(tasks, 2)][:_MOST_PAIRS]
    protocol = {**_PROTOCOL, "tangent": _PROTOCOL["standard"]}
    protocol["disentanglement"] = {**_PROTOCOL["disentanglement"], "pairs": [*map(list, pairs)]}
    content = {
        "name": name,
        "version": "1.0",
        "summary": f"{', '.join(tasks)}: images of your own",
        "provider": "taskmark.suites.own.provider:.",
        "default_backbones": list(entries),
        "tasks": {t: {"summary": one[1], "sha256": _UNRESOLVED} for t, one in made.items()},
        "backbones": entries,
        "protocol": protocol,
    }
    for task, (table, _, _) in made.items():
        write_atomically(folder / f"{task}.csv", table)
    write_atomically(file, f"{_HEAD}{tomli_w.dumps(content)}".encode())
    return NewSuite(file, tuple(line for _, _, lines in made.values() for line in lines))


def _backbones(given: Sequence[str], folder: Path) -> dict[str, dict[str, str]]:
    """The entries of models, whose files are there and fit."""
    entries: dict[str, dict[str, str]] = {}
    for text in given:
        model = library_models.parse(text)
        weights = text
        if model.source not in ("", library_models.RANDOM):
            path = os.path.relpath(Path(model.source).expanduser().resolve(), folder.resolve())
            weights = f"{text.partition('=')[0]}={Path(path).as_posix()}"
            library_models.load_encoder(weights, folder)
        stem = re.sub(r"[^a-z0-9_-]", "-", model.name.partition(".")[0].lower())
        more = (f"{stem}-{number}" for number in itertools.count(2))
        name = next(n for n in itertools.chain([stem], more) if n not in entries)
        drawn = " with random weights" if model.source == library_models.RANDOM else ""
        entries[name] = {
            "summary": f"{model.name} of {model.library}{drawn}",
            "weights": weights,
            "sha256": _UNRESOLVED,
            "heads": "zero-shot" if model.has_text else "probed",
        }
    if not entries:
        raise TaskmarkError("A suite needs a model; give one with --backbone.")
    return entries


def _make_table(task: str, source: Path, folder: Path) -> tuple[bytes, str, list[str]]:
    """The table of a task, its summary, and what to know of it; its images are decoded."""
    items, notes = drop_repeated(task, read_source(task, source))
    items = assign_splits(task, items)
    sentences = [f"{task}: {sentence}" for sentence in notes]
    draft = arrays.default_folder() / f".own-{task}-{os.getpid()}"
    try:
        decoded.decode_items(task, items, draft)
        if copied := decoded.find_pixel_copies(items, draft):
            paths = {item.path for item in copied}
            items = [item for item in items if item.path not in paths]
            _check_left(task, items)
            sentences.append(
                f"{task}: {len(copied)} images of train or validation have the pixels of a test "
                f"image, such as {copied[0].path}; they are left out."
            )
        table = table_bytes(items, folder)
        place = decoded.place_of_bytes(task, table)
        facts = arrays.read_facts(draft)
        if copied or place.exists():
            facts = decoded.decode_items(task, items, place)
        else:
            draft.replace(place)
        listed = duplicate_list.read(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        draft.with_name(f".{draft.name}.lock").unlink(missing_ok=True)
    counts = {split: sum(item.split == split for item in items) for split in SPLITS}
    n_classes = len({item.label for item in items})
    summary = (
        f"{n_classes} classes; {counts['train']} images to tune on, {counts['validation']} to "
        f"choose on, {counts['test']} to test on"
    )
    side = f", {facts.size} pixels wide" if facts else ""
    sentences.append(f"{task}: {summary}{side}; {listed.summary(counts['test'])}.")
    sentences += _lacking(task, items)
    return table, summary, sentences


def _check_left(task: str, items: Sequence[Item]) -> None:
    for split in SPLITS:
        if all(item.split != split for item in items):
            raise TaskmarkError(
                f"All images of {task!r} in {split} stand in test too, pixel by pixel; give other "
                "splits, or none."
            )


def _lacking(task: str, items: Sequence[Item]) -> list[str]:
    """Classes that test lacks, as a sentence."""
    tested = {item.label for item in items if item.split == "test"}
    lacking = sorted({item.label for item in items} - tested)
    names = f"{', '.join(lacking[:3])}{' ...' if len(lacking) > 3 else ''}"  # noqa: PLR2004
    return [f"{task}: test has no image of {names}."] if lacking else []
