"""A process for the code of a plug-in: started, watched, and ended with all that it started.

What is asked of it goes into a folder as JSON, and its answers come back there: a line of JSON
each, and tensors as a safetensors file. Nothing that runs comes back.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.plugins.child import ANSWERS, ORDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import IO

    from torch import Tensor

_log = logging.getLogger(__name__)
_CHILD = "taskmark.plugins.child"
_START_SECONDS = 600.0  # until the plug-in's own code begins; torch and data come before
_END_SECONDS = 5.0  # that it may take to end what it started
_TICK = 0.05  # seconds between two looks at it
_KEPT_OUTPUT = 2000  # bytes of what a plug-in prints
_MOST_ANSWERS = 16 << 20  # bytes


class PluginError(TaskmarkError):
    """What the process of a plug-in did or said that leaves its row without a result."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a process.

    Attributes:
        who: whose code it ran, for sentences.
        said: its answers, in order.
        fault: what leaves it without a result; None where it came to its end.
        seconds: for which the plug-in's code ran.
    """

    who: str
    said: tuple[dict[str, Any], ...]
    fault: PluginError | None
    seconds: float

    def misspoke(self) -> PluginError:
        """What to raise when an answer is not one of those that were agreed."""
        return PluginError(f"{self.who} sent words of its own in place of an answer.")


def run_isolated(who: str, order: Mapping[str, Any], folder: Path, *, seconds: float) -> Heard:
    """Start a process, wait until it has carried an order out, and end all that it started.

    Args:
        who: whose code it runs, for sentences.
        order: JSON values, see `taskmark.plugins.child`.
        folder: an empty one, for the order and the answers.
        seconds: that the plug-in's code may run.

    Raises:
        TaskmarkError: if it ended before the plug-in's code began.
    """
    around = {
        "threads": torch.get_num_threads(),
        "python_path": [os.path.abspath(entry) for entry in sys.path],  # noqa: PTH100 - "" is here
    }
    (folder / ORDER).write_text(json.dumps({**order, **around}), "utf-8")
    (folder / ANSWERS).touch()
    with (folder / ANSWERS).open("rb") as answers:
        process = _Process(folder)
        try:
            timed_out = process.watch(answers.fileno(), seconds)
        finally:
            process.end()
        if process.printed:
            _log.info("%s printed: %s", who, process.printed.decode(errors="replace"))
        content = answers.read(_MOST_ANSWERS + 1)
    if not content and not timed_out:
        raise TaskmarkError(
            f"The process for plug-ins {process.how_it_ended()} before the plug-in began "
            f"({_one_line(process.printed.decode(errors='replace')[-300:])}); run without plug-ins "
            "to see whether taskmark itself is installed as it should be."
        )
    said, fault = _understood(who, content)
    if timed_out:
        fault = fault or PluginError(
            f"timed out after {seconds:g} s; allow it more with --time-limit SECONDS."
        )
    elif not fault and not (said and said[-1] == {"op": "done"}):
        fault = PluginError(
            f"{who} {process.how_it_ended()}; what runs in it must return or raise."
        )
    said = [answer for answer in said if answer["op"] != "done"]
    return Heard(who, tuple(said), fault, process.seconds)


def read_tensors(path: Path, *, most_bytes: int) -> dict[str, Tensor]:
    """Read the safetensors file that a process left, which may hold anything.

    Raises:
        ValueError: if it is no such file, or a larger one.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > most_bytes:
            raise ValueError(f"a file of {status.st_size} bytes")
        return load_file(path)
    except (OSError, SafetensorError, KeyError) as error:
        raise ValueError("no safetensors file") from error


def _understood(who: str, content: bytes) -> tuple[list[dict[str, Any]], PluginError | None]:
    """The answers, without those that speak of the process itself, and what is wrong with it."""
    misspoke = Heard(who, (), None, 0.0).misspoke()
    whole, _, _ = content.rpartition(b"\n")  # what was cut off in the middle says nothing
    said: list[dict[str, Any]] = []
    fault = misspoke if len(content) > _MOST_ANSWERS else None
    for number, line in enumerate(whole.splitlines()):
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        match answer:
            case {"op": "ready"}:
                pass
            case {"op": "unprepared", "artifact": str(artifact), "sentence": sentence}:
                if not number:  # before the plug-in's code began
                    raise _unprepared(artifact, _one_line(sentence))
                fault = fault or misspoke
            case {"op": "touched", "what": what}:
                return said, PluginError(f"touched test data: it {_one_line(what)}.")
            case {"op": "failed", "sentence": sentence}:
                fault = fault or PluginError(_one_line(sentence))
            case {"op": str()}:
                said.append(answer)
            case _:
                fault = fault or misspoke
    return said, fault


def _unprepared(artifact: str, sentence: str) -> TaskmarkError:
    if not artifact:
        return TaskmarkError(sentence)
    corrupt = CorruptArtifactError(sentence)
    corrupt.artifact = artifact
    return corrupt


def _one_line(said: object) -> str:
    return " ".join(str(said).split())[:500]


class _Process:
    """A process in a session of its own, which lives no longer than this one."""

    def __init__(self, folder: Path) -> None:
        self.printed = b""
        self.seconds = 0.0
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", _CHILD, str(folder)],
                stdin=subprocess.PIPE,  # it ends when this does
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd="/",  # what is here, or where results go, is not its business
                env={key: value for key, value in os.environ.items() if not _is_ours(key)},
                start_new_session=True,  # Ctrl-C is answered here
            )
        except OSError as error:
            raise TaskmarkError(
                f"The process for plug-ins cannot be started ({error}); close other programs, or "
                "run without plug-ins."
            ) from error

    def watch(self, answers: int, seconds: float) -> bool:
        """Wait until it has ended; return whether it took too long.

        Args:
            answers: descriptor of the file that has something in it once the plug-in's code begins.
            seconds: that this may run.
        """
        start = time.monotonic()
        begin: float | None = None
        output: list[IO[bytes]] = [self._output]
        while self._process.poll() is None:
            if begin is None and os.fstat(answers).st_size:
                begin = time.monotonic()
            now = time.monotonic()
            if begin is not None and now - begin > seconds:
                self.seconds = seconds
                return True
            if begin is None and now - start > _START_SECONDS:
                raise TaskmarkError(
                    f"The process for plug-ins has not begun within {_START_SECONDS:g} s; run "
                    "again when the machine has less to do."
                )
            if select.select(output, [], [], _TICK)[0] and not self._read():
                output = []  # it was closed at the other end
        self.seconds = time.monotonic() - (begin or start)
        return False

    def end(self) -> None:
        """End it, if it has not ended, and all that it started."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.set_blocking(self._output.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            self._read()
        self._output.close()

    def how_it_ended(self) -> str:
        """In words, with its exit code or the signal that ended it."""
        code = self._process.returncode
        how = f"with the exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return f"ended its process {how}"

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        return self._process.stdout

    def _read(self) -> bytes:
        piece = os.read(self._output.fileno(), 1 << 16)
        self.printed = (self.printed + piece)[-_KEPT_OUTPUT:]
        return piece


def _is_ours(variable: str) -> bool:
    return variable.startswith("TASKMARK_")
