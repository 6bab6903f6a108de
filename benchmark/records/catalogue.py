"""The catalogue of a run: what is known of its methods, tasks and backbones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import ValidationError

from taskmark.errors import TaskmarkError
from taskmark.records.frozen import Frozen
from taskmark.records.suite_facts import SuiteFacts

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "catalogue"
"""Name of its folder in the output folder of a run."""


class HyperParameter(Frozen):
    """A field of a method.

    Attributes:
        name: of the field.
        values: what it may be, in words: "number > 0, ≤ 1".
        default: as JSON; empty where it must be given.
    """

    name: str
    values: str
    default: str


class MethodEntry(Frozen):
    """What a method says of itself.

    Attributes:
        name: of the method.
        source_sha256: hash of the file that defines it.
        file: where that file is, such as "methods/ties.py"; its name alone for a plug-in.
        description: its docstring, with the sections that it has.
        hyperparameters: its fields.
        scale_range: where its coefficient is searched; None if it is fixed.
        order_matters: why the order of the tasks changes the result; empty if it does not.
        n_tasks: how many tasks it merges, at least and at most.
    """

    schema_version: Literal[1] = 1
    name: str
    source_sha256: str
    file: str
    description: str
    hyperparameters: tuple[HyperParameter, ...] = ()
    scale_range: tuple[float, float] | None = None
    order_matters: str = ""
    n_tasks: tuple[int, int | None] = (1, None)


class Example(Frozen):
    """A training image: its class in words, and the picture as PNG in base64."""

    label: str
    png: str


class TaskEntry(Frozen):
    """What is known of a task; `card` is what the suite's card says of it, (term, text)."""

    summary: str = ""
    card: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    n_train: int | None = None
    n_validation: int | None = None
    examples: tuple[Example, ...] = ()


class BackboneEntry(Frozen):
    """What is known of a backbone; `card` is what the suite's card says of it, (term, text)."""

    summary: str
    heads: str
    weights: str
    sha256: str
    card: tuple[tuple[str, str], ...] = ()


class SuiteEntry(Frozen):
    """What is known of a suite, its tasks and its backbones."""

    schema_version: Literal[1] = 1
    suite: SuiteFacts
    summary: str
    tasks: dict[str, TaskEntry]
    backbones: dict[str, BackboneEntry]


Entry = TypeVar("Entry", MethodEntry, SuiteEntry)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries: methods by name, suites by their hash."""

    methods: dict[str, MethodEntry] = field(default_factory=dict)
    suites: dict[str, SuiteEntry] = field(default_factory=dict)

    def task(self, suite: SuiteFacts, name: str) -> TaskEntry | None:
        """What is known of a task of a suite."""
        entry = self.suites.get(suite.sha256)
        return entry.tasks.get(name) if entry else None

    def backbone(self, suite: SuiteFacts, name: str) -> BackboneEntry | None:
        """What is known of a backbone of a suite."""
        entry = self.suites.get(suite.sha256)
        return entry.backbones.get(name) if entry else None


def method_path(out: Path, name: str) -> Path:
    """The file of a method's entry in an output folder."""
    return out / FOLDER / "methods" / f"{name}.json"


def suite_path(out: Path, suite: SuiteFacts) -> Path:
    """The file of a suite's entry in an output folder."""
    return out / FOLDER / "suites" / f"{suite.sha256[:16]}.json"


def read_catalogue(out: Path) -> Catalogue:
    """Read the catalogue of an output folder; an older run may have none.

    Raises:
        TaskmarkError: if a file of it cannot be read or is not valid.
    """
    methods = _read(out / FOLDER / "methods", MethodEntry)
    suites = _read(out / FOLDER / "suites", SuiteEntry)
    return Catalogue(
        {entry.name: entry for entry in methods}, {entry.suite.sha256: entry for entry in suites}
    )


def _read(folder: Path, kind: type[Entry]) -> list[Entry]:
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(kind.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise TaskmarkError(
                f"The file {str(path)!r} is no entry of a catalogue ({what}); delete it and run "
                "`taskmark run` again, which writes a new one."
            ) from error
    return found
