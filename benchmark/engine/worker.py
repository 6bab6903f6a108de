"""The worker: what a process does before its first job, and around each."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import threading
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import connection
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.machine import memory
from taskmark.store.recording import recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import SimpleQueue

    from taskmark.context import Context
    from taskmark.engine.jobs import Job

_context: Context | None = None
_watched: Callable[[], AbstractContextManager[None]] = nullcontext


def start(
    context: Context, free: SimpleQueue[str] | None = None, *, ignore_interrupts: bool = True
) -> None:
    """Get a process ready for jobs.

    Args:
        context: handed to every job.
        free: devices, of which this process takes one in place of the context's.
        ignore_interrupts: for a process of its own, which ends with its parent instead.
    """
    import torch  # noqa: PLC0415 - the thread variables must be set first

    from taskmark.machine import determinism  # noqa: PLC0415 - likewise

    global _context, _watched  # noqa: PLW0603 - handed to each worker once, not with every job
    if free is not None:
        context = dataclasses.replace(context, device=free.get())
    _context, _watched = context, nullcontext
    if ignore_interrupts:
        # Ctrl-C reaches the whole group; the parent alone answers it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, daemon=True).start()
    # timm still scripts some activations, and recent torch warns of it.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    if context.device.startswith("cuda"):
        if context.device != "cuda":
            torch.cuda.set_device(context.device)  # what asks for no device means this one
        determinism.require_determinism()
        _watched = determinism.note_nondeterminism
    else:
        torch.set_num_threads(1)


def work(job: Job) -> tuple[str | None, float]:
    """Do a job; return what its function returns, and the seconds that it took.

    Raises:
        TaskmarkError: what the job raised; if memory did not suffice, with what was needed.
    """
    if _context is None:
        raise RuntimeError("A worker must be started before it works.")
    begin = time.perf_counter()
    try:
        with recording(job.label), _watched():
            result = job.function(_context, job.key, **job.arguments)
    except Exception as error:
        if not memory.is_out_of_memory(error):
            raise
        raise TaskmarkError(
            f"While {job.label}: {memory.explain(error)}; "
            "run with fewer --workers, on a smaller backbone, or on another machine."
        ) from error
    return result, time.perf_counter() - begin


def _end_with_parent() -> None:
    # A parent that was killed cannot say so, and its queue of jobs stays open in the workers.
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
