"""Papers: their protocols and published figures as data, read and checked.

A figure is stored with the checkpoints that it was measured on, with its source, and with how well
it is known. One that is known from memory alone is refused.
"""

from __future__ import annotations

import importlib.resources
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from taskmark.contract.recipe import RECIPES
from taskmark.errors import TaskmarkError, unknown
from taskmark.records.frozen import Frozen
from taskmark.suite.toml_files import faults_in_sentences

Metric = Literal["accuracy", "normalised_accuracy", "negation_target", "negation_control"]
KnownFrom = Literal["text", "code", "abstract", "third party", "derived"]

KNOWN_FROM: dict[KnownFrom, str] = {
    "text": "read in the paper",
    "code": "read in released code or its documentation",
    "abstract": "read in the abstract alone",
    "third party": "as somebody else tells it",
    "derived": "worked out from figures that were published",
}
"""How well a published figure is known."""

NEGATION: frozenset[Metric] = frozenset({"negation_target", "negation_control"})
"""The metrics that are measured where task vectors are subtracted."""

OWN = "own"
"""The family of experts that a run tunes itself."""

_FOLDER = ("taskmark.suites.real", "papers")
Name = Annotated[str, Field(min_length=1)]
Percent = Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)]  # normalised ones pass 100


class ExpertFamily(Frozen):
    """Checkpoints that belong together, since one procedure tuned them.

    `tuned_alike` says whether the suite tunes its own experts by that procedure. Only then, and
    with these checkpoints themselves, is a difference to a figure of the family meaningful.
    """

    summary: Name
    tuned_alike: bool = False


class PaperRun(Frozen):
    """One method of the paper, as it is run here.

    Attributes:
        method: name of the method.
        recipe: which experts it stands on, and how it is read.
        hyperparameters: those of the paper, where the method's own are others.
        scales: the interval of scales that the paper searches; the method's own unless said.
        metrics: what is measured of it.
    """

    method: Name
    recipe: str = "standard"
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    scales: tuple[float, float] | None = None
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)] = (
        "accuracy",
        "normalised_accuracy",
    )

    @field_validator("recipe")
    @classmethod
    def _is_recipe(cls, recipe: str) -> str:
        if recipe not in RECIPES:
            raise ValueError(f"{recipe!r} is no recipe; use one of {', '.join(RECIPES)}")
        return recipe

    @field_validator("scales")
    @classmethod
    def _rises(cls, scales: tuple[float, float] | None) -> tuple[float, float] | None:
        if scales is not None and not scales[0] < scales[1]:
            raise ValueError("the scales need the smaller end first")
        return scales


class Published(Frozen):
    """Figures of one run from one source, in percent, by backbone.

    Attributes:
        run: name of the run that measures them here.
        family: the checkpoints that they were measured on.
        source: who published them, and in which table.
        label: how well they are known, see `KNOWN_FROM`.
    """

    run: Name
    family: Name
    source: Name
    label: KnownFrom
    accuracy: dict[str, Percent] = Field(default_factory=dict)
    normalised_accuracy: dict[str, Percent] = Field(default_factory=dict)
    negation_target: dict[str, Percent] = Field(default_factory=dict)
    negation_control: dict[str, Percent] = Field(default_factory=dict)

    @field_validator("label", mode="before")
    @classmethod
    def _is_not_remembered(cls, label: object) -> object:
        if label == "memory":
            raise ValueError(
                "a figure known from memory alone is not stored; read it where it was published"
            )
        return label

    @property
    def values(self) -> dict[Metric, dict[str, float]]:
        """Metric -> backbone -> percent, of the metrics that have a figure."""
        metrics: tuple[Metric, ...] = get_args(Metric)
        return {metric: getattr(self, metric) for metric in metrics if getattr(self, metric)}


class Budget(Frozen):
    """What the paper grants every method, where that is not what the suite grants.

    Attributes:
        trials: points of the scale search.
        gradient_images: images that a learning method may pass backward.
    """

    trials: Annotated[int, Field(gt=0)] | None = None
    gradient_images: Annotated[int, Field(gt=0)] | None = None


class Paper(Frozen):
    """A paper: its protocol on a suite of ours, and what it published.

    Attributes:
        name: what a user types, and what its records are known by.
        title: of the paper.
        authors: their names.
        venue: where and when it appeared.
        url: its address.
        suites: those that its protocol may be laid over, as "name@version" or files; the first
            unless a user says which.
        backbones: those of the paper.
        control: the task that controls each negation of the paper; empty where it negates nothing.
        disentanglement: whether the disentanglement error is measured, too.
        search: what it grants every method.
        runs: its methods, by the name of their row.
        families: the checkpoints that the figures were measured on.
        published: the figures.
        notes: what is done otherwise here, and why.
    """

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9-]*$")]
    title: Name
    authors: Name
    venue: Name
    url: Name
    suites: Annotated[tuple[Name, ...], Field(min_length=1)]
    backbones: Annotated[tuple[str, ...], Field(min_length=1)]
    control: str = ""
    disentanglement: bool = False
    search: Budget = Budget()
    runs: Annotated[dict[str, PaperRun], Field(min_length=1)]
    families: dict[str, ExpertFamily] = Field(default_factory=dict)
    published: tuple[Published, ...] = ()
    notes: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if OWN in self.families:
            raise ValueError(f"{OWN!r} is what experts that a run tunes are called")
        for figures in self.published:
            if figures.run not in self.runs:
                raise ValueError(f"published names the run {figures.run!r}, which is not there")
            if figures.family not in self.families:
                raise ValueError(f"published names no family of the paper: {figures.family!r}")
            if not figures.values:
                raise ValueError(f"published has an entry of {figures.run!r} without a figure")
            if not set(figures.values) <= set(self.runs[figures.run].metrics):
                raise ValueError(f"published has a metric that {figures.run!r} does not measure")
            for values in figures.values.values():
                if not set(values) <= set(self.backbones):
                    names = ", ".join(values)
                    raise ValueError(f"published names a backbone that is not the paper's: {names}")
        return self

    @model_validator(mode="after")
    def _searches_a_method_once(self) -> Self:
        ranges: dict[str, tuple[float, float] | None] = {}
        for run in self.runs.values():
            if ranges.setdefault(run.method, run.scales) != run.scales:
                raise ValueError(f"the runs of {run.method!r} search different scales")
        return self

    @property
    def command(self) -> str:
        """What `taskmark reproduce` takes for it: its name, or its file where it is not shipped."""
        return self.name if self.name in find_papers() else f"{self.name}.toml"

    @property
    def negation(self) -> bool:
        """Whether any run measures negation."""
        return any(not NEGATION.isdisjoint(run.metrics) for run in self.runs.values())


def find_papers() -> dict[str, Path]:
    """The papers shipped, name -> file."""
    package, folder = _FOLDER
    entries = importlib.resources.files(package).joinpath(folder).iterdir()
    paths = (Path(str(entry)) for entry in entries if entry.name.endswith(".toml"))
    return {path.stem: path for path in sorted(paths)}


def is_paper(name: str) -> bool:
    """Whether a user's word means a paper: the name of one, or a file that describes one."""
    return name in find_papers() or name.endswith(".toml")


def load(name: str) -> Paper:
    """Read a paper by name, or by the path of a TOML file.

    Raises:
        TaskmarkError: if there is no such paper, its file is not valid, or its name is that of
            another paper, which is shipped.
    """
    papers = find_papers()
    if name in papers:
        return read(papers[name])
    if name.endswith(".toml") and Path(name).is_file():
        paper = read(Path(name))
        if paper.name in papers and not Path(name).samefile(papers[paper.name]):
            raise TaskmarkError(
                f"The paper {name!r} has the name {paper.name!r} of a paper that is shipped; give "
                "it another name, in the file and as the name of the file."
            )
        return paper
    raise unknown("paper", name, papers)


def read(path: Path) -> Paper:
    """Read a paper from its file.

    Raises:
        TaskmarkError: if the file cannot be read, is not TOML, does not follow the schema, or has
            not the name of the paper.
    """
    with faults_in_sentences(f"The paper {str(path)!r}"):
        paper = Paper(**tomllib.loads(path.read_bytes().decode()))
    if path.name != f"{paper.name}.toml":
        raise TaskmarkError(
            f"The paper {str(path)!r} says that its name is {paper.name!r}; call the file "
            f"{f'{paper.name}.toml'!r}, which its records name as what they are made by."
        )
    return paper
