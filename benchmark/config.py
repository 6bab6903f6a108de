"""What somebody asks of a run: from the command line, from nox, or from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from taskmark.plugins.method_choice import MethodChoice
from taskmark.store.tuning_checkpoints import CHECKPOINT_SECONDS

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class RunConfig(BaseModel):
    """The options of `taskmark run`. A tuple `methods` is the option `--method`, to be repeated."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    suite: str = Field("mini", description="Suite: name, name@version, or a TOML file.")
    methods: tuple[MethodChoice, ...] = Field(
        (),
        description="Method, such as ties or 'ties[density=0.1]', or a group: core, weights, "
        "unlabelled, labelled, all; all by default.",
    )
    backbones: tuple[str, ...] = Field((), description="Backbone, or all.")
    recipes: tuple[str, ...] = Field((), description="standard, tangent or post_hoc.")
    tasks: tuple[str, ...] = Field((), description="Merge only these tasks.")
    seeds: tuple[Seed, ...] = Field(
        (0,), description="Seed of tuning and of methods; 0 by default."
    )
    out: Path = Field(Path("results"), description="Folder for records, tables and the site.")
    plugins: tuple[Path, ...] = Field((), description="File with a method.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:1.")
    workers: int | None = Field(
        None,
        ge=0,
        description="Processes; by default one per GPU, or one per core. 0: only this one.",
    )
    store: Path | None = Field(
        None, description="Folder of artifacts; by default TASKMARK_STORE, or your cache."
    )
    time_limit: float = Field(
        3600.0, ge=1, description="Seconds that a plug-in may spend on one edit or check."
    )
    since: str | None = Field(
        None, description="Also run built-in methods that changed since a commit."
    )
    experts: Path | None = Field(
        None, description="Your own experts, one per task: a folder, or FOLDER/BACKBONE/SEED."
    )
    accept_experts: str | None = Field(
        None, description="Use experts that fail the checks; the reason goes into the records."
    )
    racing: bool = Field(
        default=False, description="Stop early at scales that cannot win (5 % error)."
    )
    negation: bool = Field(
        default=False, description="Also negate each task, where the suite says how."
    )
    localisation: bool = Field(
        default=False, description="Also measure NTK localisation on each backbone."
    )
    checkpoint_seconds: float = Field(
        CHECKPOINT_SECONDS,
        description="Seconds between two steps of tuning from which it can go on.",
    )

    @field_validator("methods", mode="before")
    @classmethod
    def _parsed(cls, methods: Any) -> Any:
        if isinstance(methods, str):
            methods = (methods,)
        return tuple(MethodChoice.parse(m) if isinstance(m, str) else m for m in methods)
