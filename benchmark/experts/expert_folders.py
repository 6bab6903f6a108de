"""Trees of experts: which folder holds those of which backbone and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def place_of(root: Path, backbone: str, seed: int) -> Path:
    """Where a tree has the experts of a backbone, tuned under a seed."""
    return root / backbone / str(seed)


def find_folders(
    root: Path, backbones: Sequence[str], seeds: Sequence[int]
) -> dict[tuple[str, int | None], Path]:
    """Find the folder of each backbone and seed: `root/backbone/seed`, `root/backbone`, or `root`.

    Args:
        root: the folder that the user named.
        backbones: of the run.
        seeds: of the run.

    Returns:
        (backbone, seed) -> folder; the seed is None where no folder is called by it, so that the
        same experts stand for whichever seed the run has.

    Raises:
        TaskmarkError: if a backbone or a seed has no folder.
    """
    there = [backbone for backbone in backbones if (root / backbone).is_dir()]
    if not there:
        if len(backbones) > 1:
            raise TaskmarkError(
                f"Experts belong to one backbone, and this run has {', '.join(backbones)}; "
                "choose one with --backbone, or bring a folder for each, "
                f"{str(root / backbones[0])!r} and so on."
            )
        return _of_one_backbone(root, backbones[0], seeds)
    if missing := [backbone for backbone in backbones if backbone not in there]:
        raise TaskmarkError(
            f"There are no experts of {', '.join(missing)} in {str(root)!r}, but of "
            f"{', '.join(there)}; choose these with --backbone, or bring the others, too."
        )
    found: dict[tuple[str, int | None], Path] = {}
    for backbone in backbones:
        found |= _of_one_backbone(root / backbone, backbone, seeds)
    return found


def _of_one_backbone(
    folder: Path, backbone: str, seeds: Sequence[int]
) -> dict[tuple[str, int | None], Path]:
    there = _seeds_in(folder)
    wanted = tuple(dict.fromkeys(seeds))
    if not there:
        if len(wanted) > 1:
            raise TaskmarkError(
                f"Experts that are brought along are the same under every seed, and this run has "
                f"{', '.join(map(str, wanted))}; choose one with --seed, or bring a folder for "
                f"each, {str(folder / str(wanted[0]))!r} and so on."
            )
        return {(backbone, None): folder}
    if missing := [seed for seed in wanted if seed not in there]:
        raise TaskmarkError(
            f"There are no experts of the seed {', '.join(map(str, missing))} in {str(folder)!r}, "
            f"but of {', '.join(map(str, there))}; choose these with --seed."
        )
    return {(backbone, seed): folder / str(seed) for seed in wanted}


def _seeds_in(folder: Path) -> list[int]:
    """The seeds that sub-folders are called by, written as a number is."""
    try:
        names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    except OSError:  # whoever looks for experts in it says what is wrong
        return []
    return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))
