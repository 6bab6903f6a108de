"""What `taskmark experts` does: export the experts that a run tuned."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from taskmark.commands.name_checks import check_names
from taskmark.console import PlainConsole

if TYPE_CHECKING:
    from pathlib import Path

    from taskmark.config import RunConfig


def export_command(folder: Path, config: RunConfig, *, recipe: str) -> None:
    """Write the experts of a run to a folder, and say how to bring them along.

    Raises:
        TaskmarkError: if a name is unknown, or the run has not made them.
    """
    check_names(config)
    from taskmark.atomic_files import check_writable  # noqa: PLC0415
    from taskmark.engine.run import prepare  # noqa: PLC0415 - imports torch
    from taskmark.experts.expert_export import export_experts, words_of_run  # noqa: PLC0415

    ready = prepare(config)
    suite, backbones = ready.request.suite, ready.request.backbones
    seeds = tuple(dict.fromkeys(config.seeds))
    check_writable(folder)
    written = export_experts(
        suite,
        ready.store,
        folder,
        backbones=backbones,
        recipe=recipe,
        seeds=seeds,
        named=config.suite,
    )
    # The labels say the recipe.
    words = words_of_run(suite, backbones=backbones, seeds=seeds, named=config.suite)
    console = PlainConsole()
    console.say(f"{len(written)} experts are in {folder}; use them with:")
    console.say(f"  {shlex.join([*words, '--experts', str(folder)])}")
