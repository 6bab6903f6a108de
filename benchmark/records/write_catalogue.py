"""Writing the catalogue of a run: docstrings, hyper-parameters, cards and example images."""

from __future__ import annotations

import ast
import base64
import importlib.resources
import inspect
import io
import re
from typing import TYPE_CHECKING

import torch
from PIL import Image

from taskmark.atomic_files import write_atomically
from taskmark.errors import TaskmarkError
from taskmark.records.catalogue import (
    BackboneEntry,
    Catalogue,
    Example,
    MethodEntry,
    SuiteEntry,
    TaskEntry,
    method_path,
    read_catalogue,
    suite_path,
)
from taskmark.suite.provider import module_of
from taskmark.suite.suite_file import UNRESOLVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from taskmark.contract.method import Method
    from taskmark.plugins.registry import Found
    from taskmark.records.frozen import Frozen
    from taskmark.store.artifacts import Artifact, Store
    from taskmark.suite.suite_file import Suite


_CELL = re.compile(r"(?<!\\)\|")
_ITEM = re.compile(r"- `(?P<name>[^`]+)`: (?P<text>.*)")


def said_of(card: str, name: str) -> tuple[tuple[str, str], ...]:
    """Gather what is said of a name, in the order of the text.

    That is the row of every table whose first cell is the name, in backticks, with the headings of
    the columns as terms; and every item of a list that begins with the name and a colon.

    Returns:
        (term, text) of each; the term of an item is empty.
    """
    found: list[tuple[str, str]] = []
    headings: list[str] = []
    lines = card.splitlines()
    for place, line in enumerate(lines):
        if not line.startswith("|"):
            headings = []
            item = _ITEM.fullmatch(line)
            if item and item["name"] == name:
                found.append(("", " ".join([item["text"], *_continued(lines[place + 1 :])])))
        elif not headings:
            headings = _cells(line)
        else:
            first, *cells = _cells(line)
            if first == f"`{name}`":
                found += zip(headings[1:], cells, strict=False)
    return tuple(found)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELL.split(line.strip().strip("|"))]


def _continued(lines: list[str]) -> list[str]:
    """The indented lines with which an item goes on."""
    found = []
    for line in lines:
        if not line.startswith("  ") or not line.strip():
            break
        found.append(line.strip())
    return found


CARD = "CARD.md"
"""The card of a suite, beside its provider."""

_MOST_EXAMPLES = 12
_PIXELS_NDIM = 4  # [N, 3, H, W]
_LONGEST_SIDE = 64  # of an example's picture, in pixels


def catalogue_methods(out: Path, methods: Iterable[Found]) -> None:
    """Write the entries of some methods, as their code is now.

    Args:
        out: the output folder of a run.
        methods: those that it runs.

    Raises:
        TaskmarkError: if a file cannot be written.
    """
    for found in methods:
        _write(method_path(out, found.method.name), method_entry(found))


def catalogue_suite(out: Path, suite: Suite, store: Store, data: Mapping[str, str]) -> None:
    """Write the entry of a suite.

    Args:
        out: the output folder of a run.
        suite: as the run takes it.
        store: where its images are.
        data: task -> key of its images in the store. Where they are not in the store any more,
            what an earlier run said of them is kept.

    Raises:
        TaskmarkError: if the file cannot be written.
    """
    _write(suite_path(out, suite.facts), _suite_entry(suite, _former(out), store, data))


def method_entry(found: Found) -> MethodEntry:
    """What a method says of itself; the code of a plug-in is read, never run."""
    method = found.method
    built_in = found.origin == "built-in"
    return MethodEntry(
        name=method.name,
        source_sha256=found.source_sha256(),
        file=f"{found.source.parent.name}/{found.source.name}" if built_in else found.source.name,
        description=_own_docstring(method) if built_in else _read_docstring(found),
        hyperparameters=found.hyperparameters(),
        scale_range=method.scale_range,
        order_matters=method.order_matters,
        n_tasks=method.n_tasks,
    )


def _own_docstring(method: type[Method]) -> str:
    return inspect.getdoc(method) or "" if method.__doc__ else ""


def _read_docstring(found: Found) -> str:
    """The docstring of the class that states the method's name, from its source."""
    try:
        tree = ast.parse(found.source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return found.method.summary()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(_states(line, found) for line in node.body):
            return ast.get_docstring(node) or ""
    return found.method.summary()


def _states(line: ast.stmt, found: Found) -> bool:
    return (
        isinstance(line, ast.Assign)
        and [ast.unparse(target) for target in line.targets] == ["name"]
        and isinstance(line.value, ast.Constant)
        and line.value.value == found.method.name
    )


def _suite_entry(
    suite: Suite, former: Catalogue, store: Store, data: Mapping[str, str]
) -> SuiteEntry:
    card = _card(suite.provider)
    tasks = {}
    for name, task in suite.tasks.items():
        before = former.task(suite.facts, name)
        entry = before if before and before.examples else _look(store, data.get(name, ""))
        facts = {"summary": task.summary, "card": said_of(card, name)}
        tasks[name] = entry.model_copy(update=facts)
    backbones = {
        name: BackboneEntry(
            summary=backbone.summary,
            heads=backbone.heads,
            weights=backbone.weights,
            sha256=_known_hash(backbone.sha256, former.backbone(suite.facts, name)),
            card=said_of(card, name) or said_of(card, backbone.weights),
        )
        for name, backbone in suite.backbones.items()
    }
    return SuiteEntry(suite=suite.facts, summary=suite.summary, tasks=tasks, backbones=backbones)


def _known_hash(found: str, former: BackboneEntry | None) -> str:
    """Of weights that the suite leaves open; a run of other backbones does not look at them."""
    return former.sha256 if found == UNRESOLVED and former else found


def _card(provider: str) -> str:
    package, _, _ = module_of(provider).rpartition(".")
    if not package:
        return ""
    file = importlib.resources.files(package) / CARD
    return file.read_text("utf-8") if file.is_file() else ""


def _look(store: Store, key: str) -> TaskEntry:
    """What the training images of a task show; nothing where they are not in the store."""
    if not store.has("data", key):
        return TaskEntry()
    try:
        artifact = store.get("data", key)
    except TaskmarkError:  # damaged or pruned meanwhile: the records do not need them any more
        return TaskEntry()
    return TaskEntry(
        classes=tuple(artifact.facts["classes"]),
        n_train=len(artifact.tensors["train"]),
        n_validation=len(artifact.tensors["validation"]),
        examples=tuple(_examples(artifact)),
    )


def _examples(artifact: Artifact) -> Iterable[Example]:
    """The first training image of classes spread over all of them."""
    classes = artifact.facts["classes"]
    images, labels = artifact.tensors["train"], artifact.tensors["train_labels"]
    if images.dtype != torch.uint8 or images.ndim != _PIXELS_NDIM:
        return  # no pictures
    n = min(_MOST_EXAMPLES, len(classes))
    for label in (place * len(classes) // n for place in range(n)):
        places = torch.nonzero(labels == label).flatten().tolist()
        if places:
            yield Example(label=classes[label], png=_png(images[places[0]]))


def _png(image: torch.Tensor) -> str:
    """A uint8 image [3, H, W] as PNG in base64, no side longer than `_LONGEST_SIDE`."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _former(out: Path) -> Catalogue:
    try:
        return read_catalogue(out)
    except TaskmarkError:  # of a damaged one, only what is written now is renewed
        return Catalogue()


def _write(path: Path, entry: Frozen) -> None:
    content = (entry.model_dump_json(indent=1) + "\n").encode()
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)
