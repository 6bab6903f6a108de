"""A suite: the frozen definition of what is compared, read from one TOML file."""

from __future__ import annotations

import hashlib
import importlib.resources
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from taskmark.errors import TaskmarkError, unknown
from taskmark.records.frozen import Frozen
from taskmark.records.suite_facts import SuiteFacts, Variant
from taskmark.suite.extension import Extension, differences, laid_over
from taskmark.suite.protocol import Fraction, Gate, Positive, Protocol, Tuning
from taskmark.suite.provider import locate
from taskmark.suite.toml_files import faults_in_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskmark.contract.recipe import Mode

UNRESOLVED = "unresolved"
"""In place of a hash that nobody has fixed yet, see `taskmark.suite.unfrozen_suites`."""

_IDENTITY = ("name", "version", "summary")  # what a suite says of itself and never inherits


class Task(Frozen):
    """A task of a suite.

    `sha256` covers all its splits, see `stages.data.fingerprint`. Its experts are tuned for
    `epochs`, those of the protocol unless said, times `epochs_factor`. `expert_range` are
    the least and the largest accuracy on test that clean experts are known to have.
    """

    sha256: str
    summary: str = ""
    epochs: Positive | None = None
    epochs_factor: Positive = 1
    expert_range: tuple[Fraction, Fraction] | None = None

    @field_validator("expert_range")
    @classmethod
    def _in_order(cls, found: tuple[float, float] | None) -> tuple[float, float] | None:
        if found is not None and found[0] > found[1]:
            raise ValueError("its first accuracy must not be larger than its second")
        return found


class Backbone(Frozen):
    """A pre-trained encoder with the kind of heads that its tasks get.

    `weights` names what the provider loads; several backbones may share weights and differ in
    their heads. `sha256` is the hash of the weights file.
    """

    weights: str
    sha256: str
    heads: Literal["probed", "zero-shot", "own"]
    summary: str = ""


class Suite(Frozen):
    """One version of a suite.

    `provider` is the module that makes data and backbones, see `taskmark.suite.provider`.
    `default_backbones` are run where none is chosen. `controls` are tasks that negation may not
    harm, and that are neither tuned on nor merged. `hyperparameters` are the suite's own choices
    for methods whose published ones do not fit its size, by method name. `gate` says what a
    comparison of two runs tolerates. `variant` is what a run changed of the definition, and
    `sha256` covers it.
    """

    name: str
    version: str
    summary: str
    provider: str
    default_backbones: tuple[str, ...]
    tasks: dict[str, Task]
    controls: dict[str, Task] = Field(default_factory=dict)
    backbones: dict[str, Backbone]
    protocol: Protocol
    hyperparameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    gate: Gate = Gate()
    variant: Variant = Variant()
    sha256: str

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name in self.default_backbones:
            if name not in self.backbones:
                raise ValueError(f"default_backbones names {name!r}, which is no backbone")
        for pair in self.protocol.disentanglement.pairs:
            if not set(pair) <= set(self.tasks) or pair[0] == pair[1]:
                raise ValueError(f"the pair {pair} does not name two tasks of the suite")
        for name in self.controls:
            if name in self.tasks:
                raise ValueError(f"{name!r} is a task and a control; leave it out of one of them")
        for target, controls in self._controls():
            others = {*self.tasks, *self.controls} - {target}
            if target not in self.tasks or not others.issuperset(controls):
                raise ValueError(
                    f"negation.controls has {', '.join(controls)} for {target}; "
                    "name a task of the suite and other tasks that control it"
                )
        return self

    def _controls(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        negation = self.protocol.negation
        if negation is None or isinstance(negation.controls, int):
            return ()
        if isinstance(negation.controls, tuple):
            named = negation.controls
            return ((task, tuple(name for name in named if name != task)) for task in self.tasks)
        return negation.controls.items()

    @property
    def frozen(self) -> bool:
        """Whether the hashes of all data and weights are fixed."""
        hashes = [task.sha256 for task in (*self.tasks.values(), *self.controls.values())]
        return UNRESOLVED not in [*hashes, *(each.sha256 for each in self.backbones.values())]

    def chosen(self, backbones: Sequence[str]) -> tuple[str, ...]:
        """The backbones that a user named, or those that are run where none is.

        Raises:
            TaskmarkError: if one is not the suite's.
        """
        for backbone in backbones:
            if backbone not in self.backbones:
                raise unknown("backbone", backbone, self.backbones)
        return tuple(dict.fromkeys(backbones)) or self.default_backbones

    def data_of(self, task: str) -> Task:
        """What is said of a task, be it one that is merged or one that only controls."""
        return self.tasks.get(task) or self.controls[task]

    @property
    def facts(self) -> SuiteFacts:
        """What a record says of the suite."""
        return SuiteFacts(
            name=self.name, version=self.version, sha256=self.sha256, variant=self.variant
        )

    @property
    def label(self) -> str:
        """What people are shown: "mini@1.0", "mini@1.0+racing"."""
        return self.facts.label

    def vary(self, change: object, **fields: Any) -> Suite:
        """The same suite with a change to its variant, and a hash that covers it.

        Args:
            change: what the run changes, as the hash covers it.
            fields: those of `Variant` that the run sets.
        """
        variant = self.variant.model_copy(update=fields)
        sha256 = hashlib.sha256(f"{self.sha256} {change}".encode()).hexdigest()
        return self.model_copy(update={"variant": variant, "sha256": sha256})

    def tuning(self, task: str, mode: Mode) -> Tuning:
        """How the expert of a task is tuned."""
        tuning = self.protocol.standard if mode == "standard" else self.protocol.tangent
        of_task = self.tasks[task]
        epochs = (of_task.epochs or tuning.epochs) * of_task.epochs_factor
        return tuning.model_copy(update={"epochs": epochs})

    def racing(self) -> Suite:
        """The variant of the suite with a racing search of scales."""
        if self.protocol.search == "racing":
            return self
        protocol = self.protocol.model_copy(update={"search": "racing"})
        raced = self.model_copy(update={"protocol": protocol})
        return raced.vary("racing", racing=True)

    def on_experts_of(self, family: str) -> Suite:
        """The variant of the suite on experts of a family, which were brought along."""
        return self.vary(f"experts {family}", experts=family)

    def only(self, tasks: tuple[str, ...]) -> Suite:
        """The variant of the suite on some of its tasks, in the suite's order.

        Raises:
            TaskmarkError: if a task is not the suite's.
        """
        for task in tasks:
            if task not in self.tasks:
                raise unknown("task", task, self.tasks)
        part = self.keeping(tasks)
        if not tasks or len(part.tasks) == len(self.tasks):
            return self
        return part.vary(sorted(part.tasks), tasks=tuple(part.tasks))

    def keeping(self, tasks: tuple[str, ...]) -> Suite:
        """The definition without its other tasks and their pairs, under the name that it has.

        Where no pair is left, the first two tasks are one.
        """
        kept = {name: task for name, task in self.tasks.items() if name in tasks}
        grid = self.protocol.disentanglement
        pairs = tuple(pair for pair in grid.pairs if set(pair) <= set(kept))
        if not pairs and len(kept) > 1:
            first, second, *_ = kept
            pairs = ((first, second),)
        protocol = self.protocol.model_copy(
            update={"disentanglement": grid.model_copy(update={"pairs": pairs})}
        )
        return self.model_copy(update={"tasks": kept, "protocol": protocol})


def _files() -> Iterator[Path]:
    folder = importlib.resources.files("taskmark.suites")
    for entry in folder.iterdir():
        if entry.name.endswith(".toml"):
            yield Path(str(entry))


def find_suites() -> dict[str, Path]:
    """All suites shipped, as "name@version" -> file; the newest of a name also under the name."""
    versions = {"@".join(path.stem.rsplit("-", 1)): path for path in sorted(_files())}
    newest: dict[str, Path] = {}
    for label in sorted(versions, key=_order):
        newest[label.partition("@")[0]] = versions[label]
    return {**newest, **versions}


def _order(label: str) -> tuple[str, tuple[int, ...]]:
    name, _, version = label.partition("@")
    return name, tuple(int(number) for number in version.split("."))


def load(name: str) -> Suite:
    """Read a suite by "name", "name@version", or the path of a TOML file.

    Raises:
        TaskmarkError: if there is no such suite or its file is not valid.
    """
    suites = find_suites()
    if name in suites:
        return read(suites[name])
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise TaskmarkError(
                f"There is no suite file {name!r}; give the path of one, or a name that "
                "`taskmark list` shows."
            )
        return read(Path(name))
    raise unknown("suite", name, suites)


def gate_of(label: str) -> Gate:
    """What a comparison of runs of the suite "name@version" tolerates.

    A suite that is not shipped, and a variant of one (`mini@1.0+racing`), has the usual tolerance.
    """
    suites = find_suites()
    return read(suites[label]).gate if label in suites else Gate()


def read(path: Path) -> Suite:
    """Read a suite from its file.

    A file that says `extends` names another, and then only what differs: tables are merged, other
    values replaced, and `only` keeps some of the tasks. Its hash covers the base's bytes, and its
    summary says what it extends and what differs.

    Raises:
        TaskmarkError: if the file is not valid TOML or does not follow the schema, or if what it
            extends is not there, extends the file itself, or has not a task that is named.
    """
    return _read(path, ())


def _read(path: Path, above: tuple[Path, ...]) -> Suite:
    with faults_in_sentences(f"The suite file {str(path)!r}"):
        content = path.read_bytes()
        values = tomllib.loads(content.decode())
        if "extends" in values:
            return _extended(path, content, values, above)
        sha256 = hashlib.sha256(content).hexdigest()
        if isinstance(values.get("provider"), str):
            values["provider"] = locate(values["provider"], path)
        return Suite(**values, sha256=sha256, variant=Variant())


def _extended(path: Path, content: bytes, values: dict[str, Any], above: tuple[Path, ...]) -> Suite:
    """The suite of a file that extends another; `above` are the files that extend this one."""
    own = {name: values.pop(name) for name in ("extends", "only") if name in values}
    extension = Extension(**own)
    chain = (*above, path.resolve())
    base_path = extension.base(path, {file.stem: file for file in _files()})
    if base_path.resolve() in chain:
        names = " -> ".join(file.name for file in (*chain, base_path))
        raise TaskmarkError(
            f"The suite file {str(path)!r} extends itself in the end ({names}); "
            "take `extends` out of one of them."
        )
    base = _read(base_path, chain)
    extension.check(path, base.tasks, values.get("tasks", {}))
    inherited = base.model_dump()
    for name in (*_IDENTITY, "sha256", "variant"):
        del inherited[name]
    if isinstance(values.get("provider"), str):
        values["provider"] = locate(values["provider"], path)
    merged = laid_over(inherited, values)
    sha256 = hashlib.sha256(base.sha256.encode() + content).hexdigest()
    suite = Suite(**merged, sha256=sha256, variant=Variant())
    if extension.only:
        suite = suite.keeping(extension.only)
    unsaid = ("extends", *_IDENTITY)
    changes = {name: value for name, value in (own | values).items() if name not in unsaid}
    differs = "; ".join(differences(changes)) or "nothing"
    summary = f"{suite.summary} ({base.name} {base.version}, but {differs})"
    return suite.model_copy(update={"summary": summary})
