"""The process that the processes of plug-ins are forked from, so that torch is imported once.

`python -P -m taskmark.plugins.server`, with a socket as its standard input. It runs no code of
a plug-in itself; whatever a plug-in's process leaves behind, it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from taskmark.plugins.child import serve
from taskmark.plugins.wire import ENDED, KILL, REPORT, START, STARTED

_ORPHANS_COME_TO_ME = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def main() -> None:
    """Start a process for each START that comes, one at a time, until the other side is gone."""
    control = socket.socket(fileno=0)
    _adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = resident = 0
    while True:
        sources: list[Any] = [control, woken]
        ready, _, _ = select.select(sources, [], [])
        if control in ready:
            command, handles, _, _ = socket.recv_fds(control, 1, 2)
            if command == START:
                resident = _resident_bytes()
                child = _start(handles, [woken, wake])
                control.sendall(REPORT.pack(STARTED, child, 0.0, 0))
            elif command == KILL:
                _kill(child)
            else:
                break
        if woken in ready:
            os.read(woken, 4096)
        for pid, status, cpu_seconds, peak in _ended():
            if pid == child:
                _kill(child)
                _kill_orphans()
                child = 0
                grown = max(0, peak - resident)
                control.sendall(REPORT.pack(ENDED, status, cpu_seconds, grown))
    _kill(child)
    _kill_orphans()


def _start(handles: list[int], not_its: list[int]) -> int:
    child = os.fork()
    if not child:
        _become_child(handles, not_its)
    for handle in handles:
        os.close(handle)
    return child


def _become_child(handles: list[int], not_its: list[int]) -> NoReturn:
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        line, output = handles
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)  # this also closes the server's own line
        os.dup2(output, 1)
        os.dup2(output, 2)
        for handle in (nothing, output, *not_its):
            os.close(handle)
        serve(socket.socket(fileno=line))
    finally:
        # Past everything that the plug-in may have registered to run at the end.
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(0)


def _ended() -> list[tuple[int, int, float, int]]:
    ended = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if not pid:
                break
            unit = 1 if sys.platform == "darwin" else 1024
            ended.append((pid, status, used.ru_utime + used.ru_stime, used.ru_maxrss * unit))
    return ended


def _kill(child: int) -> None:
    if not child:
        return
    for kill in (os.killpg, os.kill):  # it may not have come to leading a group yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)


def _kill_orphans() -> None:
    # A process that left the group comes here when its parent is gone; there may be more below.
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii")
        return [int(child) for child in text.split()]
    return []


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ORPHANS_COME_TO_ME, 1, 0, 0, 0)


def _resident_bytes() -> int:
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


if __name__ == "__main__":
    main()
    os._exit(0)  # there is nothing to tidy up, and somebody waits
