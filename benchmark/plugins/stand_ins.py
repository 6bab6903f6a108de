"""Stand-ins for plug-in methods: facts and checked hyper-parameters, while the code runs apart."""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from huggingface_hub import constants as hub
from pydantic import ConfigDict, Field, NonNegativeInt, PrivateAttr, create_model

from taskmark.contract.edit import Edit, Mask
from taskmark.contract.head import Head
from taskmark.contract.method import Method
from taskmark.errors import TaskmarkError
from taskmark.machine.costs import Spent
from taskmark.plugins.child import EDIT, STATED
from taskmark.plugins.method_index import ENTRY_POINT_GROUP, Origin
from taskmark.plugins.process import Heard, PluginError, read_tensors, run_isolated
from taskmark.plugins.registry import (
    Found,
    built_in,
    by_name,
    check_facts,
    require_file,
)
from taskmark.records.catalogue import HyperParameter
from taskmark.records.envelope import Role, Track
from taskmark.records.frozen import Frozen
from taskmark.store.keys import source_of
from taskmark.suite.provider import module_of, private_paths
from taskmark.suites.real.data.arrays import default_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
        module = module_of(self.provider)
        package = module.rpartition(".")[0]
        file = source_of(module).resolve()
        fetched = default_folder().resolve(), Path(hub.HF_HUB_CACHE).resolve()
        own = [path.resolve() for path in private_paths(self.provider)]
        return {
            "refused_modules": [package or module],
            "refused_paths": [str(file.parent if package else file), *map(str, (*fetched, *own))],
        }


class SaidSpent(Frozen):
    """See `Spent`."""

    seconds: float = Field(ge=0, allow_inf_nan=False)
    cpu_seconds: float = Field(ge=0, allow_inf_nan=False)
    peak_bytes: NonNegativeInt
    device_peak_bytes: NonNegativeInt | None

    def within(self, seconds: float) -> Spent:
        """The same, but no more seconds than the run has waited."""
        return Spent(
            min(self.seconds, seconds), self.cpu_seconds, self.peak_bytes, self.device_peak_bytes
        )


class SaidEdit(Frozen):
    """What a process says of its edit, beside the tensors.

    Attributes:
        heads: the task of each head, and whether it normalises.
        per_task: the tasks that have vectors of their own.
        masks: the task of each mask, and its factor.
        linearised_elsewhere: whether it says where the model is linearised.
        touched: see `Given.touched`; this and what follows is the process's own word.
        gradient_images: likewise.
        forward_images: likewise.
        notes: what is worth a note on what the edit makes.
        spent: what the edit took.
    """

    op: Literal["edited"]
    heads: dict[str, bool]
    per_task: tuple[str, ...]
    masks: dict[str, float]
    linearised_elsewhere: bool = False
    touched: dict[
        Annotated[str, Field(pattern=r"^[\w.-]+/(train|validation)/(images|labels)$")],
        NonNegativeInt,
    ]
    gradient_images: NonNegativeInt
    forward_images: NonNegativeInt
    notes: tuple[Annotated[str, Field(max_length=200)], ...] = Field(max_length=20)
    spent: SaidSpent

    def edit(self, tensors: Mapping[str, Any]) -> Edit:
        """The edit, not yet checked.

        Raises:
            KeyError: if it names a tensor that is not there.
        """
        return Edit(
            tensors["vector"],
            heads={
                task: Head(tensors[f"weight/{task}"], tensors[f"bias/{task}"], normalise)
                for task, normalise in self.heads.items()
            },
            per_task={task: tensors[f"per_task/{task}"] for task in self.per_task},
            masks={
                task: Mask(tensors[f"mask/{task}"], factor) for task, factor in self.masks.items()
            },
            linearised_at=tensors["linearised_at"] if self.linearised_elsewhere else None,
        )


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
    _chosen: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, **chosen: Any) -> None:
        apart, text = self._apart, json.dumps(chosen, sort_keys=True)
        if text not in apart.checked:
            order = {**apart.order, "do": "check", "hyperparameters": chosen}
            answer = _asked(f"The method {self.name!r}", order, apart.limits, _Checked)
            apart.checked[text] = answer.hyperparameters
        super().__init__(**apart.checked[text])
        self._chosen = json.loads(text)

    def hyperparameters(self) -> dict[str, Any]:
        """Those that the class itself says, which knows what it leaves out."""
        return self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def check_isolated(cls, *, seconds: float, large: bool) -> Heard:
        """Let the class be checked, see `taskmark.conformance.isolated_checks`."""
        order = {**cls._apart.order, **cls._apart.limits.facts(), "do": "conform", "large": large}
        with _folder() as folder:
            return run_isolated(f"The method {cls.name!r}", order, folder, seconds=seconds)

    def edit_isolated(
        self, handout: Mapping[str, Any], limits: Limits, *, most_bytes: int
    ) -> tuple[Edit, SaidEdit, Spent]:
        """Let the plug-in edit in a process of its own.

        Args:
            handout: a `taskmark.stages.editing.Handout` as JSON values.
            limits: that hold for it.
            most_bytes: that the edit may be large.

        Returns:
            The edit, not yet checked; what the process says of it; what it took.

        Raises:
            PluginError: if it fails, ends, takes too long, or touches test data.
            TaskmarkError: if what it is to be handed cannot be read.
        """
        order = {**self._apart.order, "do": "edit", "hyperparameters": self._chosen}
        order |= {**limits.facts(), "handout": dict(handout)}
        with _folder() as folder:
            heard = run_isolated(f"The method {self.name!r}", order, folder, seconds=limits.seconds)
            said = _only(heard, SaidEdit)
            try:
                edit = said.edit(read_tensors(folder / EDIT, most_bytes=most_bytes))
            except (ValueError, KeyError) as error:
                raise heard.misspoke() from error
        return edit, said, said.spent.within(heard.seconds)


def find_isolated(plugins: Iterable[Path], limits: Limits) -> dict[str, Found]:
    """Find all methods as `plugins.registry.find` does, without running the code of a plug-in.

    A file is asked once for each of its contents.

    Raises:
        TaskmarkError: if a plug-in cannot be imported, holds no method or touches test data, or
            if two methods have one name.
    """
    points = entry_points(group=ENTRY_POINT_GROUP)
    outside = list(_found(None, repr(sorted(points)), limits)) if points else []
    for file in dict.fromkeys(plugins):
        require_file(file)  # before a process is started for it
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        outside += _found(file, content, limits)
    return by_name((*built_in(), *outside))


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
    keeps_direction: bool
    n_tasks: tuple[int, int | None]
    fields: tuple[HyperParameter, ...]
    defaults: dict[str, Any] | None
    source: Path
    distribution: str | None
    files: tuple[Path, ...]


class _Described(Frozen):
    op: Literal["described"]
    methods: tuple[_Facts, ...]


@functools.cache
def _found(file: Path | None, _content: str, limits: Limits) -> tuple[Found, ...]:
    """The methods of a file, or of all installed packages."""
    order = {"file": None if file is None else str(file.absolute())}
    who = "A package with methods" if file is None else f"The plug-in {str(file)!r}"
    found = []
    for facts in _asked(who, {**order, "do": "describe"}, limits, _Described).methods:
        method = _stand_in(facts, _Apart({**order, "name": facts.name}, limits))
        check_facts(method)
        source, files = (facts.source, facts.files) if file is None else (file, (file,))
        origin: Origin = "package" if file is None else "file"
        found.append(Found(method, origin, source, facts.distribution, files, facts.fields))
    return tuple(found)


def _stand_in(facts: _Facts, apart: _Apart) -> type[StandIn]:
    takes: Any = {field.name: (Any, None) for field in facts.fields}
    with warnings.catch_warnings():  # of a field that is named like something of pydantic's
        warnings.simplefilter("ignore")
        method = create_model("StandIn", __base__=StandIn, __module__=__name__, **takes)
    for name in STATED:
        setattr(method, name, getattr(facts, name))
    method.__doc__ = facts.summary
    if facts.defaults is not None:
        apart.checked["{}"] = facts.defaults
    method._apart = apart  # noqa: SLF001 - made here
    return method


def _asked(who: str, order: dict[str, Any], limits: Limits, answer: type[Answer]) -> Answer:
    try:
        with _folder() as folder:
            whole = {**order, **limits.facts()}
            return _only(run_isolated(who, whole, folder, seconds=limits.seconds), answer)
    except PluginError as error:
        text = str(error)
        raise TaskmarkError(text if text[:1].isupper() else f"{who} {text}") from error


def _only(heard: Heard, kind: type[Answer]) -> Answer:
    """The one thing that a process had to say."""
    if heard.fault is not None:
        raise heard.fault
    try:
        (answer,) = heard.said
        return kind.model_validate(answer)
    except ValueError as error:  # a ValidationError is one
        raise heard.misspoke() from error


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="taskmark-", ignore_cleanup_errors=True) as name:
        yield Path(name)
