"""The executor: runs jobs in worker processes, one thread each, as soon as their needs allow."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from taskmark.context import Context
    from taskmark.jobs import Job

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job; `seconds` is how long it took once it is done."""

    state: Literal["started", "done", "died"]
    job: Job
    seconds: float = 0.0
    result: str | None = None


Listener = Callable[[Event], None]


def execute(jobs: Sequence[Job], context: Context, *, workers: int, listener: Listener) -> None:
    """Run jobs until none is left.

    Args:
        jobs: in any order; needs that are not among them count as done.
        context: handed to every job.
        workers: number of processes; 0 runs everything in this one.
        listener: told of every start and end; a job that killed its process is "died", and what
            needs it is not run.

    Raises:
        TaskmarkError: what a job raised; nothing more is started then.
    """
    if workers == 0:
        _inline(jobs, context, listener)
        return
    queue = _Queue(jobs)
    suspects: list[Job] = []
    while queue.waiting or suspects:
        # After a worker died, each job that was running is tried alone, to find the culprit.
        alone = suspects.pop() if suspects else None
        with _pool(1 if alone else workers, context) as pool:
            suspects += _drain(pool, queue, workers, listener, alone)


class _Queue:
    """Jobs that wait, and the keys that they wait for."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.waiting = list(jobs)
        self._undone = {job.key for job in jobs}

    def ready(self) -> list[Job]:
        return [job for job in self.waiting if not self._undone.intersection(job.needs)]

    def take(self, job: Job) -> None:
        self.waiting.remove(job)

    def done(self, job: Job) -> None:
        self._undone.discard(job.key)

    def died(self, job: Job) -> None:
        # Nothing that needs it can run.
        lost = {job.key}
        while orphans := [other for other in self.waiting if lost.intersection(other.needs)]:
            lost.update(orphan.key for orphan in orphans)
            self.waiting = [other for other in self.waiting if other not in orphans]


def _drain(
    pool: ProcessPoolExecutor,
    queue: _Queue,
    workers: int,
    listener: Listener,
    alone: Job | None,
) -> list[Job]:
    running: dict[Future[tuple[str | None, float]], Job] = {}

    def start(job: Job) -> None:
        running[_submit(pool, job)] = job
        listener(Event("started", job))

    if alone is not None:
        start(alone)
    while True:
        if alone is None:
            for job in queue.ready()[: workers - len(running)]:
                queue.take(job)
                start(job)
        if not running:
            return []
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            job = running.pop(future)
            try:
                result, seconds = future.result()
            except BrokenProcessPool:
                if alone is None:
                    return [job, *running.values()]
                queue.died(job)
                listener(Event("died", job))
                return []
            queue.done(job)
            listener(Event("done", job, seconds, result))


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future[tuple[str | None, float]]:
    try:
        return pool.submit(_work, job)
    except BrokenProcessPool as error:  # a worker died since we last looked
        future: Future[tuple[str | None, float]] = Future()
        future.set_exception(error)
        return future


def _inline(jobs: Sequence[Job], context: Context, listener: Listener) -> None:
    _start_worker(context, ignore_interrupts=False)
    queue = _Queue(jobs)
    while ready := queue.ready():
        job = ready[0]
        queue.take(job)
        listener(Event("started", job))
        result, seconds = _work(job)
        queue.done(job)
        listener(Event("done", job, seconds, result))


@contextmanager
def _pool(workers: int, context: Context) -> Iterator[ProcessPoolExecutor]:
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(context,),
    )
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        processes = list(multiprocessing.active_children())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_worker_context: Context | None = None


def _start_worker(context: Context, *, ignore_interrupts: bool = True) -> None:
    import torch  # noqa: PLC0415 - the thread variables must be set first

    global _worker_context  # noqa: PLW0603 - handed to each worker once, not with every job
    _worker_context = context
    if ignore_interrupts:
        # Ctrl-C reaches the whole group; the parent alone answers it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, daemon=True).start()
    # timm still scripts some activations, and recent torch warns of it.
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    if not context.device.startswith("cuda"):
        torch.set_num_threads(1)


def _end_with_parent() -> None:
    # A parent that was killed cannot say so, and its queue of jobs stays open in the workers.
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(job: Job) -> tuple[str | None, float]:
    if _worker_context is None:
        raise RuntimeError("A worker must be started before it works.")
    start = time.perf_counter()
    result = job.function(_worker_context, job.key, **job.arguments)
    return result, time.perf_counter() - start
