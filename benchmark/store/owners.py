"""Owners: which process on which machine left a file behind, and whether that process is gone."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# The signs at its ends keep it apart from keys, which may look much like it.
_TAG = re.compile(r"@([0-9a-f]{12})-(\d{1,10})-(\d{1,20})@")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told from those of other machines and from later ones of the same number.

    Attributes:
        machine: hash of host name, boot, and name space of process numbers (containers have their
            own).
        pid: its number there.
        start: when it started, in the kernel's ticks since boot; 0 where that cannot be known.
    """

    machine: str
    pid: int
    start: int

    @classmethod
    def this(cls) -> Owner:
        """The process that asks."""
        pid = os.getpid()
        return cls(_machine(), pid, _start(pid))

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Find the tag of an owner in a text; None where there is none."""
        found = _TAG.search(text)
        return cls(found[1], int(found[2]), int(found[3])) if found else None

    @property
    def tag(self) -> str:
        """The owner as a part of a file's name."""
        return f"@{self.machine}-{self.pid}-{self.start}@"

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine, of which the kernel knows whether it lives."""
        return self.machine == _machine()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended for certain; of another machine's process nothing is certain."""
        if not self.is_here:
            return False
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # it is another user's
            pass
        return _start(self.pid) != self.start


@functools.cache
def _machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def _start(pid: int) -> int:
    # The name of the program stands in brackets and may hold anything; the fields follow it.
    with suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return 0 if fields[0] == "Z" and pid != os.getpid() else int(fields[19])
    return 0
