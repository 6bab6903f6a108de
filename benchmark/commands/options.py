"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Suite = Annotated[str, typer.Option(help="Suite: name, name@version, or a TOML file.")]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", help="Method, e.g. ties or 'ties[density=0.1]'; may be repeated."),
]
Backbones = Annotated[
    list[str] | None, typer.Option("--backbone", help="Backbone, or all; may be repeated.")
]
Recipes = Annotated[
    list[str] | None,
    typer.Option("--recipe", help="standard, tangent or post_hoc; may be repeated."),
]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", help="Only these tasks; may be repeated.")
]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", help="Seed, by default 0; may be repeated.", min=0, max=2**63 - 1),
]
Out = Annotated[Path, typer.Option(help="Folder for records, tables and the site.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="File with a method; may be repeated.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes; by default one per GPU, or one per core; 0: only this one.", min=0
    ),
]
StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of artifacts; by default TASKMARK_STORE, or your cache."),
]
Racing = Annotated[
    bool, typer.Option("--racing", help="Stop early at scales that cannot win (5 % error).")
]
Negation = Annotated[
    bool, typer.Option("--negation", help="Also negate each task, where the suite says how.")
]
Localisation = Annotated[
    bool, typer.Option("--localisation", help="Also measure NTK localisation on each backbone.")
]
Estimate = Annotated[
    bool,
    typer.Option(
        "--estimate", help="Estimate the time and disk that the run takes here, and stop."
    ),
]
TimeLimit = Annotated[
    float, typer.Option(help="Seconds that a plug-in may spend on one edit or check.", min=1)
]
Submissions = Annotated[
    Path | None, typer.Option(help="Folder of submissions to show on the boards too.")
]
ExpertsFolder = Annotated[
    Path | None,
    typer.Option(
        "--experts", help="Your own experts, one per task: a folder, or FOLDER/BACKBONE/SEED."
    ),
]
AcceptExperts = Annotated[
    str | None,
    typer.Option(help="Use experts that fail the checks; the reason goes into the records."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print progress as JSON, one object per line, and no tables.")
]
Since = Annotated[
    str | None, typer.Option(help="Only what changed since a commit, such as origin/main.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
OfSuite = Annotated[
    str | None, typer.Option("--suite", help="Everything that this suite needs, such as clip-8.")
]
