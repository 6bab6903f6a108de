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
from taskmark.machine import out_of_memory
from taskmark.store.recording import recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import SimpleQueue

    from taskmark.engine.job import Job
    from taskmark.engine.stage_store import StageStore

_store: StageStore | None = None
_watched: Callable[[], AbstractContextManager[None]] = nullcontext


def start(
    store: StageStore, free: SimpleQueue[str] | None = None, *, ignore_interrupts: bool = True
) -> None:
    """Get a process ready for jobs.

    Args:
        store: where artifacts are, and the device of the run.
        free: devices, of which this process takes one in place of the store's.
        ignore_interrupts: for a process of its own, which ends with its parent instead.
    """
    import torch  # noqa: PLC0415 - the thread variables must be set first

    from taskmark.machine import determinism  # noqa: PLC0415 - likewise

    global _store, _watched  # noqa: PLW0603 - handed to each worker once, not with every job
    if free is not None:
        store = dataclasses.replace(store, device=free.get())
    _store, _watched = store, nullcontext
    if ignore_interrupts:
        # Ctrl-C reaches the whole group; the parent alone answers it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, daemon=True).start()
    # timm still scripts some activations, and recent torch warns of it.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    if store.device.startswith("cuda"):
        if store.device != "cuda":
            torch.cuda.set_device(store.device)  # what asks for no device means this one
        determinism.require_determinism()
        _watched = determinism.note_nondeterminism
    else:
        torch.set_num_threads(1)


def work(job: Job) -> tuple[str | None, float]:
    """Make the stage of a job; return its record, if it makes one, and the seconds that it took.

    Raises:
        TaskmarkError: what the stage raised; if memory did not suffice, with what was needed.
    """
    if _store is None:
        raise RuntimeError("A worker must be started before it works.")
    begin = time.perf_counter()
    try:
        with recording(job.label), _watched():
            result = job.stage.make(_store)
    except Exception as error:
        if not out_of_memory.is_out_of_memory(error):
            raise
        raise TaskmarkError(
            f"While {job.label}: {out_of_memory.explain(error)}; "
            "run with fewer --workers, on a smaller backbone, or on another machine."
        ) from error
    return result, time.perf_counter() - begin


def _end_with_parent() -> None:
    # A parent that was killed cannot say so, and its queue of jobs stays open in the workers.
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
