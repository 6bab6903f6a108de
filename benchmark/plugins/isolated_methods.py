"""Plug-in methods as a run knows them: their facts and checked hyper-parameters, not their code."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from huggingface_hub import constants as hub
from pydantic import ConfigDict, PrivateAttr, ValidationError, create_model

from taskmark.contract.method import Method
from taskmark.errors import TaskmarkError
from taskmark.plugins.isolated_edit import edit_apart
from taskmark.plugins.process import PluginError, PluginProcess, common_facts
from taskmark.plugins.registry import Found, built_in, check_facts, has_packages, united
from taskmark.records.catalogue import HyperParameter
from taskmark.records.envelope import Role, Track
from taskmark.records.frozen import Frozen
from taskmark.store.keys import source_of
from taskmark.suites.real.data.arrays import default_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from taskmark.contract.edit import Edit
    from taskmark.contract.given import Given
    from taskmark.machine.costs import Spent
    from taskmark.store.in_file import InFile

Answer = TypeVar("Answer", bound=Frozen)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for the code of plug-ins.

    Attributes:
        seconds: that one edit may take.
        provider: the module that makes the suite's data; importing it is refused.
    """

    seconds: float
    provider: str

    def facts(self) -> dict[str, list[str]]:
        """The modules and paths that are refused, as an order says them.

        Images that lie outside of the store are refused as a folder, wherever that is, and so is
        the cache that they were fetched into as they are published.
        """
        package = self.provider.rpartition(".")[0]
        file = source_of(self.provider).resolve()
        fetched = default_folder().resolve(), Path(hub.HF_HUB_CACHE).resolve()
        return {
            "refused_modules": [package or self.provider],
            "refused_paths": [str(file.parent if package else file), *map(str, fetched)],
        }


@dataclass(frozen=True, slots=True)
class _Apart:
    """Where a class is, what holds for it, and which hyper-parameters it has checked so far."""

    order: dict[str, Any]
    limits: Limits
    checked: dict[str, dict[str, Any]] = field(default_factory=dict)


class StandIn(Method):
    """What stands for a plug-in's class where its code must not run.

    Its hyper-parameters are checked by the class itself, in a process of its own, and are kept as
    the JSON values of a record.
    """

    # A plug-in names its fields as it likes.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    _apart: ClassVar[_Apart]
    _order: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, **chosen: Any) -> None:
        apart, text = self._apart, json.dumps(chosen, sort_keys=True)
        if text not in apart.checked:
            order = {**apart.order, "do": "check", "hyperparameters": chosen}
            answer = _asked(f"The method {self.name!r}", order, apart.limits, _Checked)
            apart.checked[text] = answer.hyperparameters
        super().__init__(**apart.checked[text])
        self._order = {
            **apart.order,
            **apart.limits.facts(),
            "hyperparameters": json.loads(text),
        }

    @classmethod
    def order(cls, do: str) -> dict[str, Any]:
        """What to say to a process of this plug-in, so that it does something with the class."""
        apart = cls._apart
        return {**apart.order, **apart.limits.facts(), **common_facts(), "do": do}

    def edit_apart(self, given: Given, files: Mapping[str, InFile]) -> tuple[Edit, Spent]:
        """Let the plug-in edit in a process of its own; the edit is not yet checked.

        Args:
            given: what it is handed.
            files: where in files that lies, see `taskmark.stages.editing.give`.

        Raises:
            PluginError: if it fails, ends, takes too long, or touches test data.
        """
        return edit_apart(
            f"The method {self.name!r}",
            self._order,
            given,
            files,
            track=self.track,
            seconds=self._apart.limits.seconds,
        )


def find_apart(plugins: Iterable[Path], limits: Limits) -> dict[str, Found]:
    """Find all methods as `plugins.registry.find` does, without running the code of a plug-in.

    Raises:
        TaskmarkError: if a plug-in cannot be imported, holds no method or touches test data, or
            if two methods have one name.
    """
    places = [None] if has_packages() else []
    outside = (
        found for place in (*places, *dict.fromkeys(plugins)) for found in _described(place, limits)
    )
    return united((*built_in(), *outside))


class _Checked(Frozen):
    op: Literal["checked"]
    hyperparameters: dict[str, Any]


class _Facts(Frozen):
    name: str
    summary: str
    paper: str
    bibtex: str
    track: Track
    recipe: str
    role: Role
    scale_range: tuple[float, float] | None
    order_matters: str
    n_tasks: tuple[int, int | None]
    fields: tuple[HyperParameter, ...]
    source: Path
    distribution: str | None
    files: tuple[Path, ...]


_STATED = (  # by a class, as attributes
    "name",
    "paper",
    "bibtex",
    "track",
    "recipe",
    "role",
    "scale_range",
    "order_matters",
    "n_tasks",
)


class _Described(Frozen):
    op: Literal["described"]
    methods: tuple[_Facts, ...]


def _described(file: Path | None, limits: Limits) -> Iterator[Found]:
    """The methods of a file, or of all installed packages."""
    order = {"file": None if file is None else str(file)}
    who = "A package with methods" if file is None else f"The plug-in {str(file)!r}"
    for facts in _asked(who, {**order, "do": "describe"}, limits, _Described).methods:
        method = _stand_in(facts, _Apart({**order, "name": facts.name}, limits))
        check_facts(method)
        if file is None:
            yield Found(
                method, "package", facts.source, facts.distribution, facts.files, facts.fields
            )
        else:
            yield Found(method, "file", file, None, (file,), facts.fields)


def _stand_in(facts: _Facts, apart: _Apart) -> type[StandIn]:
    takes: Any = {field.name: (Any, None) for field in facts.fields}
    with warnings.catch_warnings():  # of a field that is named like something of pydantic's
        warnings.simplefilter("ignore")
        method = create_model("StandIn", __base__=StandIn, __module__=__name__, **takes)
    for name in _STATED:
        setattr(method, name, getattr(facts, name))
    method.__doc__ = facts.summary
    method._apart = apart  # noqa: SLF001 - made here
    return method


def _asked(who: str, order: dict[str, Any], limits: Limits, answer: type[Answer]) -> Answer:
    try:
        with PluginProcess(who, seconds=limits.seconds) as process:
            process.order({**order, **limits.facts(), **common_facts()}, {})
            message = process.receive(most_bytes=0)
            try:
                return answer.model_validate(message.facts)
            except ValidationError as error:
                raise process.misspoke() from error
    except PluginError as error:
        text = str(error)
        raise TaskmarkError(text if text[:1].isupper() else f"{who} {text}") from error
