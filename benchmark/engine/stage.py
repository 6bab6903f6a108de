"""A stage: one artifact of a run, declared once: what it is made of, how, and what it costs.

A stage is a frozen dataclass. Its fields are settings and the stages that it is made of; together
with its name and version they are its identity, and the key of its artifact follows from that.
Plan, progress, cache and engine read this declaration and list no stages of their own.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from taskmark.records.frozen import digest
from taskmark.records.identity import settings_for_identity

if TYPE_CHECKING:
    from taskmark.engine.plan import Request
    from taskmark.engine.stage_store import StageStore
    from taskmark.records.envelope import Envelope
    from taskmark.stages.model import Model
    from taskmark.suites.task_data import Sizes

_IN_KEY, _NEEDED = "in_key", "needed"


def outside_key(default: Any = dataclasses.MISSING) -> Any:
    """A field that changes nothing of what is made, such as the words of a message or a limit."""
    return dataclasses.field(default=default, metadata={_IN_KEY: False})


def not_made_first(default: Any = dataclasses.MISSING) -> Any:
    """A field with a stage that describes this one, but whose artifact it does not read."""
    return dataclasses.field(default=default, metadata={_NEEDED: False})


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage costs. The unit of time is one item passed forward through the encoder.

    Attributes:
        model: the network that items pass through; without one nothing is counted.
        reading: passes of an evaluation.
        learning: passes of tuning and of learning methods, in float32.
        stored: vectors as long as theta0 that the stage leaves in the store.
        held: such vectors that it holds in memory at once.
    """

    model: Model | None = None
    reading: float = 0.0
    learning: float = 0.0
    stored: int = 0
    held: int = 2


class Stage(ABC):
    """One artifact of a run.

    Attributes:
        name: the folder of its artifacts in the store.
        version: raised whenever the stage computes something else.
        parts: folders of further artifacts under the same key.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    parts: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def label(self) -> str:
        """What a person reads while it runs, such as "image_text: tuning the expert of street"."""

    @abstractmethod
    def make(self, store: StageStore) -> str | None:
        """Make the artifact and put it into the store; see also `RecordStage`."""

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """What it costs, given how large the tasks are; unknown tasks count nothing."""
        del sizes
        return Cost()

    @cached_property
    def identity(self) -> str:
        """The SHA-256 of name, version, settings, and the identities of what it is made of.

        A field with its default is left out, so that a field added later changes no identity.
        """
        return digest([self.name, self.version, _settings(self)])

    @cached_property
    def needs(self) -> tuple[Stage, ...]:
        """The stages that it is made of."""
        found = _stages_in(
            getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.metadata.get(_NEEDED, True)
        )
        return tuple({stage.identity: stage for stage in found}.values())


class RecordStage(Stage):
    """A stage that a run asks for: its artifact is a record.

    `make` returns the record as JSON, or None where there is nothing to record.

    Attributes:
        record: the class of the record; files of it go to the folder `name` of a run.
    """

    record: ClassVar[type[Envelope]]

    @classmethod
    @abstractmethod
    def plan(cls, request: Request) -> Iterator[RecordStage]:
        """What a run has of it.

        Raises:
            TaskmarkError: if the run asks for what the suite does not have.
        """

    def without_process(self, store: StageStore) -> str | None:
        """The record to write where the process that made it was ended; None ends the run."""
        del store
        return None


def _settings(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON values, without defaults and what is outside of the key."""
    return {
        field.name: _plain(own)
        for field in dataclasses.fields(value)
        if field.metadata.get(_IN_KEY, True)
        and not _is_default(field, own := getattr(value, field.name))
    }


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    return field.default is not dataclasses.MISSING and bool(value == field.default)


def _plain(value: Any) -> Any:
    if isinstance(value, Stage):
        return value.identity
    if isinstance(value, BaseModel):
        return settings_for_identity(value)
    if isinstance(value, Mapping):  # the order of tasks counts
        return [[name, _plain(own)] for name, own in value.items()]
    if isinstance(value, tuple):
        return [_plain(own) for own in value]
    if dataclasses.is_dataclass(value):
        return _settings(value)
    return value


def _stages_in(values: Any) -> Iterator[Stage]:
    for value in values:
        if isinstance(value, Stage):
            yield value
        elif isinstance(value, Mapping):
            yield from _stages_in(value.values())
        elif isinstance(value, tuple):
            yield from _stages_in(value)
        elif dataclasses.is_dataclass(value):
            yield from _stages_in(getattr(value, field.name) for field in dataclasses.fields(value))
