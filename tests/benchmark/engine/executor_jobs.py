"""Light jobs for tests of the executor; worker processes import them, and no torch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from taskmark.engine import worker
from taskmark.errors import CorruptArtifactError, TaskmarkError


def start(context: object, **_: object) -> None:
    """Start a worker without importing torch."""
    worker._context = context


def write(folder: str, key: str, *, text: str = "") -> str:
    """Leave a file that says that the job ran, and how often."""
    with (Path(folder) / key).open("a") as file:
        file.write("x")
    return text or key


def end_the_process(folder: str, key: str) -> None:
    write(folder, key)
    os._exit(3)


def fail(_folder: str, key: str) -> None:
    raise TaskmarkError(f"The job {key} cannot be done.")


def find_damage(_folder: str, _key: str) -> None:
    error = CorruptArtifactError("The stored kind key is damaged.")
    error.artifact = "kind/key"
    raise error


def take_long(folder: str, key: str) -> str:
    time.sleep(1)
    return write(folder, key)


@dataclass(frozen=True)
class Place:
    """As much of a context as a worker looks at when it starts."""

    folder: str
    device: str = "cpu"


def say_who_and_wait(place: Place, key: str) -> None:
    draft = Path(place.folder) / "draft"
    draft.write_text(str(os.getpid()))
    draft.rename(Path(place.folder) / key)
    time.sleep(600)
