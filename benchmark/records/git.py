"""What git says of a working tree."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str, seconds: float) -> str:
    """What a command of git prints, within a folder.

    Args:
        folder: in the working tree.
        arguments: of the command.
        seconds: that it may take.

    Raises:
        OSError: if there is no git, or no such folder.
        ValueError: if an argument is none, such as a path with a null byte.
        subprocess.SubprocessError: if it fails or takes longer.
    """
    done = subprocess.run(  # noqa: S603
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds,
    )
    return done.stdout
