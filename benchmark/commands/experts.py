"""What `taskmark experts` does: export the experts that a run tuned."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from taskmark.console import PlainConsole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def export_command(
    folder: Path,
    *,
    suite: str,
    backbones: Sequence[str],
    recipe: str,
    tasks: Sequence[str],
    seeds: Sequence[int],
    device: str,
    store: Path | None,
) -> None:
    """Write the experts of a run to a folder, and print how to use them.

    Raises:
        TaskmarkError: if a name is unknown, or the run has not made them.
    """
    from taskmark.context import Context, choose_device  # noqa: PLC0415 - imports torch
    from taskmark.engine.run import default_store  # noqa: PLC0415
    from taskmark.experts.exporting import export_experts, words_of_run  # noqa: PLC0415
    from taskmark.store.durable import check_writable  # noqa: PLC0415
    from taskmark.suite.definition import load  # noqa: PLC0415
    from taskmark.suite.resolving import prepared  # noqa: PLC0415

    defined = load(suite).only(tuple(tasks))
    wanted = tuple(defined.backbones) if "all" in backbones else tuple(backbones)
    chosen = defined.chosen(wanted)
    resolved, hashes = prepared(defined, backbones=wanted, negation=False)
    context = Context(
        suite=resolved,
        store_root=(store or default_store()).expanduser().resolve(),
        device=choose_device(device),
        found=hashes,
    )
    check_writable(folder)
    written = export_experts(
        context, folder, backbones=chosen, recipe=recipe, seeds=seeds, named=suite
    )
    # The labels say the recipe.
    words = words_of_run(resolved, backbones=chosen, seeds=seeds, named=suite)
    console = PlainConsole()
    console.say(f"{len(written)} experts are in {folder}; use them with:")
    console.say(f"  {shlex.join([*words, '--experts', str(folder)])}")
