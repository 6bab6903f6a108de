"""A suite: the frozen definition of what is compared, read from one TOML file."""

from __future__ import annotations

import hashlib
import importlib.resources
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from taskmark.errors import TaskmarkError, unknown
from taskmark.extension import Extension, differences, laid_over
from taskmark.record import Frozen, Search, SuiteFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskmark.recipes import Mode

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

_IDENTITY = ("name", "version", "summary")  # what a suite says of itself and never inherits


class Task(Frozen):
    """A task of a suite.

    `sha256` covers all its splits, see `taskmark.data.fingerprint`. Its experts are tuned for
    `epochs_factor` times the epochs of the protocol.
    """

    sha256: str
    summary: str = ""
    epochs_factor: Positive = 1


class Backbone(Frozen):
    """A pre-trained encoder with the kind of heads that its tasks get.

    `weights` names what the provider loads; several backbones may share weights and differ in
    their heads. `sha256` is the hash of the weights file.
    """

    weights: str
    sha256: str
    heads: Literal["probed", "zero-shot"]
    summary: str = ""


class Tuning(Frozen):
    """How an expert is tuned: AdamW, linear warm-up, cosine decay, clipped gradients."""

    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Fraction
    clip_norm: Annotated[float, Field(gt=0)]
    epochs: Positive
    batch_size: Positive
    label_smoothing: Fraction = 0.0


class Disentanglement(Frozen):
    """The grid, the images a task and the pairs on which xi is measured."""

    alphas: tuple[float, ...]
    n_images: Positive
    pairs: tuple[tuple[str, str], ...]

    @field_validator("alphas")
    @classmethod
    def _has_origin(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if alphas.count(0.0) != 1:
            raise ValueError("the grid must hold 0 once, where a task vector is left out")
        return alphas


class Negation(Frozen):
    """How tasks are negated.

    `controls` are the tasks that control each target, or how many of the tasks that follow it do.
    Each must keep the share `keep` of its pre-trained accuracy.
    """

    controls: Positive | dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = 1
    keep: Fraction = 0.95


class Localisation(Frozen):
    """On how many images a task, in how many directions of feature space, the NTK is estimated."""

    n_images: Annotated[int, Field(ge=2)] = 100
    n_directions: Annotated[int, Field(ge=2)] = 8


class Gate(Frozen):
    """How far accuracies may move from those of an earlier run before a comparison fails.

    Attributes:
        epsilon: an accuracy of one row on one task may change by so much, up or down.
        flips: so many of its images may change between right and wrong without being judged;
            processors differ in the last bits of a sum. The images of a run on one machine do not
            flip at all; between AVX2 and AVX-512, after four epochs of tuning, accuracies of up to
            0.011 were seen to move, which the defaults allow.
    """

    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.02
    flips: Annotated[int, Field(ge=0)] = 5


class Protocol(Frozen):
    """What is the same for every method.

    Attributes:
        trials: points of the scale search.
        search: "exact" reads all of validation at each of them, "racing" stops early at those that
            cannot win.
        gradient_images: images a learning method may pass backward.
        probe_strengths: inverse L2 strengths tried for a probed head, chosen on validation.
        batch_size: images a forward pass takes in evaluation.
        standard: how standard experts are tuned.
        tangent: how tangent experts are tuned.
        disentanglement: the grid of xi.
        negation: how tasks are negated, for the runs that ask for it.
        localisation: how much of the NTK is looked at, for the runs that ask for it.
    """

    trials: Positive
    search: Search = "exact"
    gradient_images: Positive
    probe_strengths: tuple[float, ...]
    batch_size: Positive
    standard: Tuning
    tangent: Tuning
    disentanglement: Disentanglement
    negation: Negation | None = None
    localisation: Localisation = Localisation()


class Suite(Frozen):
    """One version of a suite.

    `provider` is the module that makes data and backbones, see `taskmark.provider`.
    `default_backbones` are run where none is chosen. `hyperparameters` are the suite's own choices
    for methods whose published ones do not fit its size, by method name. `gate` says what a
    comparison of two runs tolerates.
    """

    name: str
    version: str
    summary: str
    provider: str
    default_backbones: tuple[str, ...]
    tasks: dict[str, Task]
    backbones: dict[str, Backbone]
    protocol: Protocol
    hyperparameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    gate: Gate = Gate()
    sha256: str

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name in self.default_backbones:
            if name not in self.backbones:
                raise ValueError(f"default_backbones names {name!r}, which is no backbone")
        for pair in self.protocol.disentanglement.pairs:
            if not set(pair) <= set(self.tasks) or pair[0] == pair[1]:
                raise ValueError(f"the pair {pair} does not name two tasks of the suite")
        for target, controls in self._controls():
            if not {target, *controls} <= set(self.tasks) or target in controls:
                raise ValueError(
                    f"negation.controls has {', '.join(controls)} for {target}; "
                    "name a task of the suite and other tasks that control it"
                )
        return self

    def _controls(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        negation = self.protocol.negation
        if negation is None or isinstance(negation.controls, int):
            return ()
        return negation.controls.items()

    @property
    def facts(self) -> SuiteFacts:
        """What a record says of the suite."""
        return SuiteFacts(name=self.name, version=self.version, sha256=self.sha256)

    def tuning(self, task: str, mode: Mode) -> Tuning:
        """How the expert of a task is tuned."""
        tuning = self.protocol.standard if mode == "standard" else self.protocol.tangent
        epochs = tuning.epochs * self.tasks[task].epochs_factor
        return tuning.model_copy(update={"epochs": epochs})

    def racing(self) -> Suite:
        """The same suite with a racing search of scales, with a name that says so."""
        if self.protocol.search == "racing":
            return self
        return self.model_copy(
            update={
                "protocol": self.protocol.model_copy(update={"search": "racing"}),
                "version": f"{self.version}+racing",
                "sha256": hashlib.sha256(f"{self.sha256} racing".encode()).hexdigest(),
            }
        )

    def only(self, tasks: tuple[str, ...]) -> Suite:
        """The same suite on some of its tasks, in the suite's order, with a name that says so.

        Raises:
            TaskmarkError: if a task is not the suite's.
        """
        for task in tasks:
            if task not in self.tasks:
                raise unknown("task", task, self.tasks)
        part = self.keeping(tasks)
        if not tasks or len(part.tasks) == len(self.tasks):
            return self
        names = list(part.tasks)
        return part.model_copy(
            update={
                "version": f"{self.version}+{'+'.join(names)}",
                "sha256": hashlib.sha256(f"{self.sha256} {sorted(names)}".encode()).hexdigest(),
            }
        )

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


def known() -> dict[str, Path]:
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
    suites = known()
    if name in suites:
        return read(suites[name])
    if name.endswith(".toml") and Path(name).is_file():
        return read(Path(name))
    raise unknown("suite", name, suites)


def gate_of(label: str) -> Gate:
    """What a comparison of runs of the suite "name@version" tolerates.

    A suite that is not shipped, and a variant of one (`mini@1.0+racing`), has the usual tolerance.
    """
    suites = known()
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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TaskmarkError(
            f"The suite file {str(path)!r} cannot be read ({error.strerror}); make it readable."
        ) from error
    try:
        values = tomllib.loads(content.decode())
        if "extends" in values:
            return _extended(path, content, values, above)
        return Suite(**values, sha256=hashlib.sha256(content).hexdigest())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the top"
        raise TaskmarkError(
            f"The suite file {str(path)!r} is not valid at {place!r}: {first['msg']}."
        ) from error
    except (ValueError, TypeError, RecursionError) as error:  # of which TOMLDecodeError is one
        raise TaskmarkError(
            f"The suite file {str(path)!r} is not valid TOML ({error}); mend it there."
        ) from error


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
    for name in (*_IDENTITY, "sha256"):
        del inherited[name]
    merged = laid_over(inherited, values)
    suite = Suite(**merged, sha256=hashlib.sha256(base.sha256.encode() + content).hexdigest())
    if extension.only:
        suite = suite.keeping(extension.only)
    unsaid = ("extends", *_IDENTITY)
    changes = {name: value for name, value in (own | values).items() if name not in unsaid}
    differs = "; ".join(differences(changes)) or "nothing"
    summary = f"{suite.summary} ({base.name} {base.version}, but {differs})"
    return suite.model_copy(update={"summary": summary})
