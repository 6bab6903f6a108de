"""Whether the disks hold what fetching and decoding add to them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def require_space(what: str, needs: Mapping[Path, float]) -> None:
    """See that there is room; folders on one disk share it.

    Args:
        what: is written, as the subject of a sentence.
        needs: bytes that each folder gets; a folder need not be there yet.

    Raises:
        TaskmarkError: if a disk has less.
    """
    by_disk: dict[int, dict[Path, float]] = {}
    for folder, n_bytes in needs.items():
        by_disk.setdefault(_there(folder).stat().st_dev, {})[folder] = n_bytes
    for on_disk in by_disk.values():
        needed = sum(on_disk.values())
        free = shutil.disk_usage(_there(min(on_disk))).free
        if needed > free:
            parts = " and ".join(f"{n / 1e9:.1f} GB in {folder}" for folder, n in on_disk.items())
            raise TaskmarkError(
                f"{what} need {parts}, but the disk has {free / 1e9:.1f} GB left; make room there, "
                "or name other folders by HF_HOME (what is fetched) and TASKMARK_DATA (what is "
                "decoded)."
            )


def _there(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
