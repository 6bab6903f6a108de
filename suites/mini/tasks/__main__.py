"""Show each split's SHA-256 beside the frozen one: `python -m taskmark.suites.mini.tasks`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from taskmark.console import PlainConsole
from taskmark.suites.mini.tasks import HASHES, SPLITS, TASKS, frozen_hashes, load
from taskmark.suites.mini.tasks.splits import digest


def main(
    *, freeze: Annotated[bool, typer.Option(help="Write them as the frozen ones.")] = False
) -> None:
    """Generate every task and compare."""
    console = PlainConsole()
    frozen = frozen_hashes() if Path(HASHES).exists() else {}
    found: dict[str, dict[str, str]] = {}
    for name in TASKS:
        data = load(name)
        found[name] = {split: digest(getattr(data, split)) for split in SPLITS}
        for split, value in found[name].items():
            same = value == frozen.get(name, {}).get(split)
            n_images = len(getattr(data, split).labels)
            verdict = "as frozen" if same else "NOT as frozen"
            console.say(f"{name:12} {split:10} {n_images:5} {value} {verdict}")
    if freeze:
        Path(HASHES).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
