"""Pre-train the suite's backbones: `python -m taskmark.suites.mini.pretraining [scheme ...]`.

Each scheme trains for a fixed number of steps and can be interrupted: run the command again and it
goes on. The files go to `--folder`; `--freeze` makes them the suite's own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import torch
import typer
from platformdirs import user_cache_path
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save

from taskmark.console import PlainConsole
from taskmark.suites.mini.architecture import WEIGHTS, frozen_hashes
from taskmark.suites.mini.pretraining.schemes import SCHEMES
from taskmark.suites.mini.pretraining.training import train, write

FOLDER = user_cache_path("taskmark") / "mini-pretraining"


def main(
    schemes: Annotated[list[str] | None, typer.Argument(help="Which schemes; all if none.")] = None,
    *,
    folder: Annotated[
        Path, typer.Option(help="Where checkpoints and rebuilt weights go.")
    ] = FOLDER,
    steps: Annotated[
        int | None, typer.Option(help="Shorter schedule, for a rehearsal.", min=1)
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads; one is fastest.", min=1)] = 1,
    freeze: Annotated[bool, typer.Option(help="Make the results the suite's own weights.")] = False,
) -> None:
    """Train each scheme, then write its weights and show their SHA-256 beside the shipped one."""
    console = PlainConsole()
    torch.set_num_threads(threads)
    unknown = set(schemes or ()) - set(SCHEMES)
    if unknown:
        raise typer.BadParameter(f"no scheme {sorted(unknown)}; choose from {list(SCHEMES)}")
    for name in [known for known in SCHEMES if not schemes or known in schemes]:
        scheme = SCHEMES[name]()
        if steps is not None:
            scheme.n_steps = min(scheme.n_steps, steps)
        if scheme.starts_from is not None:
            start = folder / f"{scheme.starts_from}.safetensors"
            if not start.exists():
                raise typer.BadParameter(
                    f"{name} needs {start}, which is not there; "
                    f"train {scheme.starts_from!r} first, with the same --folder"
                )
            scheme.start_from(load_file(start))
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(name, total=scheme.n_steps, loss=float("nan"))
            train(
                scheme,
                folder / f"{name}.checkpoint.safetensors",
                progress=lambda done, loss, bar=bar: progress.update(  # type: ignore[misc]
                    bar, completed=done, loss=loss
                ),
            )
        used = os.times()
        content = save(scheme.shipped_tensors())
        digest = write(folder / f"{name}.safetensors", content)
        shipped = frozen_hashes().get(name, "none")
        verdict = "the same" if digest == shipped else "different"
        console.say(f"{name}: {folder / f'{name}.safetensors'}")
        console.say(f"  SHA-256 {digest}\n  shipped {shipped} ({verdict})")
        console.say(f"  user CPU seconds of this process so far: {used.user:.0f}")
        if freeze:
            write(WEIGHTS / f"{name}.safetensors", content)
            hashes = frozen_hashes() | {name: digest}
            write(WEIGHTS / "hashes.json", (json.dumps(hashes, indent=2) + "\n").encode())


if __name__ == "__main__":
    typer.run(main)
