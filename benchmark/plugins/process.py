"""A process for the code of a plug-in: started, listened to, and ended with all that it started."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import torch

from taskmark.errors import TaskmarkError
from taskmark.plugins.wire import (
    ENDED,
    KILL,
    REPORT,
    START,
    STARTED,
    Message,
    WireError,
    receive,
    send_mapped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from taskmark.store.in_file import InFile

_log = logging.getLogger(__name__)
_START_SECONDS = 300.0  # the first start imports torch
_END_SECONDS = 5.0  # from the last message to the end of the process, or from the kill
_KEPT_OUTPUT = 2000  # characters of what a plug-in prints


class PluginError(TaskmarkError):
    """What the process of a plug-in did or said that leaves its row without a result."""


class PluginProcess:
    """One process for one order; use it as a context manager.

    Attributes:
        cpu_seconds: that the process took, known once it has ended.
        peak_bytes: by which its memory grew at most, likewise.
    """

    def __init__(self, who: str, *, seconds: float) -> None:
        """Name whose code it runs, for sentences, and for how long it may run."""
        self.cpu_seconds = 0.0
        self.peak_bytes = 0
        self._who = who
        self._seconds = seconds
        self._deadline = 0.0
        self._printed = b""
        self._process = 0
        self._status: int | None = None

    def __enter__(self) -> Self:
        self._server = _server()
        self._line, theirs = socket.socketpair()
        self._output, output = os.pipe()
        self._outputs = [self._output]  # none once it is closed at the other end
        try:
            socket.send_fds(self._server.control, [START], [theirs.fileno(), output])
            self._process = self._server.started(_START_SECONDS)
        except OSError as error:
            self._close()
            _drop_server()
            raise TaskmarkError(
                f"The process for plug-ins cannot be started ({error}); run without plug-ins to "
                "see whether taskmark itself is installed as it should be."
            ) from error
        finally:
            theirs.close()
            os.close(output)
        self._deadline = time.monotonic() + self._seconds
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._end(kill=kind is not None)
        finally:
            self._close()

    def order(
        self,
        facts: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        files: Mapping[str, InFile] | None = None,
    ) -> None:
        """Say what to do, or answer a question.

        Args:
            facts: JSON values.
            tensors: by name.
            files: where in files these lie, by the same names; see `send_mapped`.

        Raises:
            PluginError: if the process is gone or does not listen.
            TaskmarkError: if one of the files was changed.
        """
        self._line.settimeout(self._left())
        try:
            send_mapped(self._line, facts, tensors, files)
        except TimeoutError as error:
            raise self._timed_out() from error
        except OSError as error:
            raise self._gone("stopped listening") from error

    def receive(self, *, most_bytes: int) -> Message:
        """Wait for what it says next.

        Raises:
            PluginError: if it fails, touches test data, ends, says something else than a message,
                or takes too long.
        """
        if self._line not in self._heard(self._line, self._server.control, seconds=self._left()):
            if self._deadline <= time.monotonic():
                raise self._timed_out()
            raise self._gone("went silent")
        self._line.settimeout(self._left())
        try:
            message = receive(self._line, most_bytes=most_bytes)
        except TimeoutError as error:
            raise self._timed_out() from error
        except WireError as error:
            raise PluginError(f"{self._who} sent {error} in place of an answer.") from error
        except OSError as error:
            raise self._gone("hung up") from error
        match message.facts:
            case {"op": "touched", "what": what}:
                raise PluginError(f"touched test data: it {_one_line(what)}.")
            case {"op": "failed", "sentence": said}:
                raise PluginError(_one_line(said))
        return message

    def misspoke(self) -> PluginError:
        """What to raise when a message is not one of those that were agreed."""
        return PluginError(f"{self._who} sent words of its own in place of an answer.")

    def _gone(self, otherwise: str) -> PluginError:
        # The end of the line comes a moment before the news of how the process ended.
        self._await_end(1.0)
        if self._status is None:
            return PluginError(f"{self._who} {otherwise} in place of an answer.")
        code = os.waitstatus_to_exitcode(self._status)
        how = f"with the exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return PluginError(
            f"{self._who} ended its process {how}; what runs in it must return or raise."
        )

    def _timed_out(self) -> PluginError:
        return PluginError(
            f"timed out after {self._seconds:g} s; allow it more with --time-limit SECONDS."
        )

    def _end(self, *, kill: bool) -> None:
        if not kill:
            self._await_end(_END_SECONDS)
        if self._status is None:
            with contextlib.suppress(OSError):
                self._server.control.sendall(KILL)
            self._await_end(_END_SECONDS)
        if self._status is None:
            # The server is gone or stuck: what is left must be ended from here.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process, signal.SIGKILL)
            _drop_server()

    def _await_end(self, seconds: float) -> None:
        if self._status is None and self._heard(self._server.control, seconds=seconds):
            with contextlib.suppress(OSError):
                kind, status, self.cpu_seconds, self.peak_bytes = self._server.report(0.0)
                self._status = status if kind == ENDED else None

    def _heard(self, *lines: socket.socket, seconds: float) -> list[socket.socket]:
        """Wait until some of these lines say something; what is printed meanwhile is read."""
        end = time.monotonic() + seconds
        while True:
            left = max(0.0, end - time.monotonic())
            sources: list[Any] = [*lines, *self._outputs]
            ready, _, _ = select.select(sources, [], [], left)
            if self._output in ready:
                piece = os.read(self._output, 1 << 16)
                self._printed = (self._printed + piece)[-_KEPT_OUTPUT:]
                self._outputs = [self._output] if piece else []
            spoken = [line for line in lines if line in ready]
            if spoken or not left:
                return spoken

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def _close(self) -> None:
        self._line.close()
        os.close(self._output)
        if self._printed:
            _log.info("%s printed: %s", self._who, self._printed.decode(errors="replace"))


def _one_line(said: object) -> str:
    return " ".join(str(said).split())[:500]


def common_facts() -> dict[str, Any]:
    """What every order says: how many threads this process uses, and where it finds modules."""
    return {
        "threads": torch.get_num_threads(),
        "python_path": [os.path.abspath(entry) for entry in sys.path],  # noqa: PTH100 - "" is here
    }


class _Server:
    """The process that the others are forked from; see `taskmark.plugins.server`."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "taskmark.plugins.server"],
                stdin=theirs.fileno(),
                cwd="/",  # neither what is here nor where results go is its business
                env={name: value for name, value in os.environ.items() if not _is_ours(name)},
                start_new_session=True,  # Ctrl-C is answered here
            )

    def report(self, seconds: float) -> tuple[bytes, int, float, int]:
        """Read what the server says within some seconds.

        Raises:
            OSError: if it says nothing.
        """
        content = b""
        while len(content) < REPORT.size:
            if not select.select([self.control], [], [], seconds)[0]:
                raise TimeoutError("no answer")
            piece = self.control.recv(REPORT.size - len(content))
            if not piece:
                raise ConnectionResetError("it ended")
            content += piece
        kind, number, cpu_seconds, peak_bytes = REPORT.unpack(content)
        return kind, number, cpu_seconds, peak_bytes

    def started(self, seconds: float) -> int:
        """Read which process it started.

        Raises:
            OSError: if it says something else, or nothing.
        """
        kind, process, _, _ = self.report(seconds)
        if kind != STARTED:
            raise OSError("an answer out of turn")
        return process

    def close(self) -> None:
        """End it; it ends whatever it still has."""
        self.control.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@functools.cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server


def _drop_server() -> None:
    server = _server()
    atexit.unregister(server.close)
    _server.cache_clear()
    server.close()


def _is_ours(variable: str) -> bool:
    return variable.startswith("TASKMARK_")
