"""What somebody asks of a run: from the command line, from nox, or from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from taskmark.plugins.method_choice import MethodChoice
from taskmark.store.checkpoints import CHECKPOINT_SECONDS

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class RunConfig(BaseModel):
    """The options of `taskmark run`. A tuple `methods` is the option `--method`, to be repeated."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    suite: str = Field("mini", description="Suite: name, name@version, or a TOML file.")
    methods: tuple[MethodChoice, ...] = Field(
        (), description="Method, such as ties or 'ties[density=0.1]'."
    )
    backbones: tuple[str, ...] = Field((), description="Backbone, or all.")
    recipes: tuple[str, ...] = Field((), description="standard, tangent or post_hoc.")
    tasks: tuple[str, ...] = Field((), description="Merge only these tasks.")
    seeds: tuple[Seed, ...] = Field((0,), description="Seed of tuning and of methods.")
    out: Path = Field(Path("results"), description="Folder for records, tables and the site.")
    plugins: tuple[Path, ...] = Field((), description="File with a method.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:1.")
    workers: int | None = Field(
        None, ge=0, description="Processes; by default one per core, or one per GPU. 0 for none."
    )
    store: Path | None = Field(
        None, description="Folder of artifacts; by default TASKMARK_STORE, or the user's cache."
    )
    time_limit: float = Field(
        3600.0, ge=1, description="Seconds that one edit, or the check, of a plug-in may take."
    )
    since: str | None = Field(
        None, description="Also run built-in methods that changed since a commit."
    )
    experts: Path | None = Field(
        None, description="Use experts from files: a folder, or FOLDER/BACKBONE/SEED."
    )
    accept_experts: str | None = Field(
        None, description="Why experts that look wrong are right; stands on the records."
    )
    racing: bool = Field(
        default=False, description="Stop early at scales that cannot win (5 % error)."
    )
    negation: bool = Field(
        default=False, description="Also negate each task, where the suite says how."
    )
    localisation: bool = Field(
        default=False, description="Also tell tasks apart by the NTK of each backbone."
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
