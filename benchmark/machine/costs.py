"""Measuring what something costs: seconds of wall clock, seconds of CPU, peak memory."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Spent:
    """What a block of code took.

    `peak_bytes` is the rise of the process's resident set above its start; where the system
    cannot reset the peak, the rise of the peak over the whole process. `device_peak_bytes` is the
    same of what torch allocates on CUDA devices; None where none is in use.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    device_peak_bytes: int | None = None


@contextmanager
def measure() -> Iterator[Spent]:
    """Measure the block; the result is filled in when it ends, also by an exception."""
    spent = Spent()
    _reset_peak()
    allocated = sum(map(torch.cuda.memory_allocated, _cuda_devices()))
    resident, wall, cpu = peak_bytes(), time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent.seconds = time.perf_counter() - wall
        spent.cpu_seconds = time.process_time() - cpu
        spent.peak_bytes = max(0, peak_bytes() - resident)
        if devices := _cuda_devices():
            peak = sum(map(torch.cuda.max_memory_allocated, devices))
            spent.device_peak_bytes = peak - allocated


def _cuda_devices() -> range:
    # Asking would start CUDA where nothing uses it, and take memory of its own.
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return range(torch.cuda.device_count() if in_use else 0)


def _reset_peak() -> None:
    for device in _cuda_devices():
        torch.cuda.reset_peak_memory_stats(device)
    # Linux sets the high-water mark back to the present size when 5 is written here.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_bytes() -> int:
    """The largest resident set of this process so far; on Linux, since `measure` last began."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
