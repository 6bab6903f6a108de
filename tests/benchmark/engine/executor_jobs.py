"""Light stages for tests of the executor; worker processes import them, and no torch."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from taskmark.engine import worker
from taskmark.engine.job import Job
from taskmark.engine.stage import Stage
from taskmark.errors import CorruptArtifactError, TaskmarkError


@dataclass(frozen=True)
class Place:
    """As much of a store as a worker and these stages look at."""

    folder: str
    device: str = "cpu"


def start(store: Place, **_: object) -> None:
    """Start a worker without importing torch."""
    worker._store = store


@dataclass(frozen=True)
class Write(Stage):
    """Leave a file that says that the stage ran, and how often."""

    name = "records"
    version = 1

    key: str

    @property
    def label(self) -> str:
        return f"job {self.key}"

    def make(self, store: Place) -> str:
        with (Path(store.folder) / self.key).open("a") as file:
            file.write("x")
        return self.key


class EndTheProcess(Write):
    def make(self, store: Place) -> str:
        super().make(store)
        os._exit(3)


class Fail(Write):
    def make(self, store: Place) -> str:
        del store
        raise TaskmarkError(f"The job {self.key} cannot be done.")


class FindDamage(Write):
    def make(self, store: Place) -> str:
        del store
        error = CorruptArtifactError("The stored kind key is damaged.")
        error.artifact = "kind/key"
        raise error


class TakeLong(Write):
    def make(self, store: Place) -> str:
        time.sleep(1)
        return super().make(store)


class SayWhoAndWait(Write):
    def make(self, store: Place) -> str:
        draft = Path(store.folder) / "draft"
        draft.write_text(str(os.getpid()))
        draft.rename(Path(store.folder) / self.key)
        time.sleep(600)
        return self.key


def job(key: str, *needs: str, stage: type[Write] = Write) -> Job:
    return Job(key, stage(key), needs)
