"""Runs of the tiny suite, each in a process that can be killed, broken, or raced with others."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pathlib
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskmark.atomic_files import list_drafts
from taskmark.config import RunConfig
from taskmark.engine.run import Watcher, run
from taskmark.errors import TaskmarkError
from taskmark.plugins.method_choice import MethodChoice
from taskmark.store.artifacts import Store
from taskmark.store.tuning_checkpoints import CHECKPOINTS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LONGEST_SECONDS = 300  # for one run; only a hang takes so long
TALLY: Counter[str] = Counter()
"""What was tried, for the summary."""

SUITE = "TASKMARK_TRIAL_SUITE"
"""The variable that tells the process that all trials are forked from where the suite is."""

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["warmed"])


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong at the n-th call of an operation, or the first time it is due.

    `how` is the name of an errno, or "killed before" or "killed after".
    """

    operation: str = "fsync"
    at: int = -1
    how: str = ""

    def install(self) -> Counter[str]:
        """Break this process; return what counts the calls."""
        calls: Counter[str] = Counter()
        owners: dict[str, Any] = {"fsync": os, "open": os, "replace": pathlib.Path}
        for name, owner in owners.items():
            setattr(owner, name, self._broken(name, getattr(owner, name), calls))
        return calls

    def _broken(self, name: str, function: Any, calls: Counter[str]) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            writes = name != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT)
            calls[name] += bool(writes)
            due = writes and name == self.operation and calls[name] == self.at + 1
            if due and self.how == "killed before":
                os.kill(os.getpid(), signal.SIGKILL)
            elif due and self.how != "killed after":
                number = getattr(errno, self.how)
                raise OSError(number, os.strerror(number))
            result = function(*arguments, **more)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


class JumpingClock(Fault):
    """Clocks that jump by years, forwards and backwards, whenever they are looked at."""

    def install(self) -> Counter[str]:
        source = random.Random(0)
        true = time.time
        time.time = lambda: true() + source.uniform(-1e9, 1e9)
        time.time_ns = lambda: int(time.time() * 1e9)
        time.perf_counter = time.time
        time.process_time = time.time
        return Counter()


@dataclass(frozen=True)
class Trial:
    """A run of the tiny suite in a folder of its own."""

    folder: Path
    suite: Path
    tasks: tuple[str, ...] = ("hills",)
    workers: int = 0
    user: int = 0  # who it runs as, where that can be chosen

    @property
    def store(self) -> Store:
        return Store(self.folder / "store")

    def config(self) -> RunConfig:
        return RunConfig(
            suite=str(self.suite),
            out=self.folder / "out",
            methods=(MethodChoice("ties"),),
            recipes=("standard",),
            tasks=self.tasks,
            device="cpu",
            workers=self.workers,
            store=self.store.root,
            checkpoint_seconds=0.0,  # after every step, so that many of them meet a fault
        )


@dataclass
class Running:
    """A run under way, and what it said so far."""

    process: Any
    line: Connection
    said: list[tuple[str, Any]] = field(default_factory=list)

    def until(self, state: str, key: str) -> bool:
        """Listen until a job comes to a state; False if the run ends before."""
        while self._hear():
            word, what = self.said[-1]
            if word == state and what["key"] == key:
                return True
        return False

    def end(self) -> int:
        """Listen to the end; return the exit code, which is negative after a signal."""
        while self._hear():
            pass
        self.process.join(LONGEST_SECONDS)
        assert self.process.exitcode is not None, "the run hangs"
        return int(self.process.exitcode)

    def kill(self, by: int = signal.SIGKILL) -> None:
        os.kill(self.process.pid, by)

    def heard(self, word: str) -> list[Any]:
        """All that was said under a word."""
        return [what for said, what in self.said if said == word]

    def _hear(self) -> bool:
        assert self.line.poll(LONGEST_SECONDS), "the run hangs"
        try:
            self.said.append(self.line.recv())
        except EOFError:
            return False
        return True


def start(trial: Trial, fault: Fault | None = None) -> Running:
    """Start a run."""
    here, there = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_child, args=(trial, fault, there))
    process.start()
    there.close()
    return Running(process, here)


def _child(trial: Trial, fault: Fault | None, line: Connection) -> None:
    if trial.user:
        os.setresuid(trial.user, trial.user, trial.user)
    calls = (fault or Fault()).install()

    def told(event: Any) -> None:
        what = {"kind": event.job.kind, "key": event.job.key, "seconds": event.seconds}
        line.send((event.state, what))

    code = 0
    try:
        outcome = run(trial.config(), Watcher(event=told))
        line.send(("records", identities(outcome)))
        line.send(("calls", calls))
    except TaskmarkError as error:
        line.send(("error", str(error)))
        code = 2
    except KeyboardInterrupt:
        code = 130
    line.close()
    os._exit(code)


def identities(outcome: Any) -> list[str]:
    """The records with all but times and dates."""
    records = (*outcome.records, *outcome.of("disentanglement"))
    return sorted(record.with_record_id().record_id for record in records)


@dataclass(frozen=True)
class Undisturbed:
    """What a run says and leaves when nothing goes wrong."""

    trial: Trial
    records: list[str]
    jobs: list[dict[str, Any]]
    calls: dict[str, int]

    @classmethod
    def of(cls, trial: Trial) -> Undisturbed:
        running = start(trial)
        assert running.end() == 0, running.said[-1:]
        return cls(
            trial, running.heard("records")[0], running.heard("done"), running.heard("calls")[0]
        )

    def elsewhere(self, folder: Path) -> Trial:
        """The same run in another folder."""
        return replace(self.trial, folder=folder)

    def check_resumed(self, trial: Trial, *, damaged: bool = False) -> None:
        """Run to the end, to the records of the undisturbed run; nothing else is left."""
        running = start(trial)
        assert running.end() == 0, running.said[-1:]
        self.check_records(running)
        self.check_tidy(trial, damaged=damaged)

    def check_records(self, running: Running) -> None:
        assert running.heard("records") == [self.records]
        TALLY["records compared"] += len(self.records)

    @staticmethod
    def check_tidy(trial: Trial, *, damaged: bool = False) -> None:
        """Nothing is there but whole artifacts and whole records."""
        store = trial.store
        assert list_drafts(store.folder) == []
        assert list_drafts(trial.folder / "out") == []
        assert list((store.folder / "locks").iterdir()) == []
        files = {path for path in store.root.rglob("*") if path.is_file()}
        files.discard(store.folder / "in-use.lock")
        if damaged:
            files -= set(store.root.rglob("*.damaged"))
        assert files == {path for kind, key in store for path in store.files(kind, key)}
        assert not any(kind == CHECKPOINTS for kind, _ in store)
        for path in (trial.folder / "out").rglob("*.json"):
            json.loads(path.read_bytes())
