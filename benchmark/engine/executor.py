"""The executor: runs jobs in worker processes, one thread each, as soon as their needs allow."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol

from taskmark.engine import worker
from taskmark.errors import CorruptArtifactError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from taskmark.engine.job import Job
    from taskmark.engine.stage_store import StageStore

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_POLL_SECONDS = 0.5  # how often to look whether another process is done with a job
_END_SECONDS = 1.0  # for workers to end by themselves once they are asked to


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job.

    Attributes:
        state: "found" if another process made it meanwhile, "waiting" while one does.
        job: it.
        seconds: how long it took, once it is done.
        result: what its function returned; where it is waited for, who makes it.
    """

    state: Literal["started", "done", "died", "found", "waiting"]
    job: Job
    seconds: float = 0.0
    result: str | None = None


Listener = Callable[[Event], None]


class Claims(Protocol):
    """Who may do a job, among all processes that share a store."""

    def take(self, job: Job) -> Literal["mine", "made", "busy"]:
        """Claim a job, unless another process made it or makes it now."""

    def release(self, job: Job) -> None:
        """Give a claim back."""

    def holder(self, job: Job) -> str:
        """Who makes it now, for people."""


class NoClaims:
    """Where no other process shares the work."""

    def take(self, _job: Job) -> Literal["mine", "made", "busy"]:
        """Grant it."""
        return "mine"

    def release(self, _job: Job) -> None:
        """Nothing was taken."""

    def holder(self, _job: Job) -> str:
        """Nobody."""
        return "nobody"


def execute(
    jobs: Sequence[Job],
    store: StageStore,
    *,
    workers: int,
    listener: Listener,
    claims: Claims | None = None,
    devices: Sequence[str] = (),
) -> None:
    """Run jobs until none is left.

    Args:
        jobs: in any order; needs that are not among them count as done.
        store: where artifacts are, and the device of the run.
        workers: number of processes; 0 runs everything in this one.
        listener: called at every start and end; a job that killed its process is "died", and what
            needs it is not run.
        claims: asked before each job; what another process is making is waited for.
        devices: one for each worker to compute on; the store's where there are none.

    Raises:
        CorruptArtifactError: what a job raised, once those that were running are done.
        TaskmarkError: what a job raised; nothing more is started then.
    """
    queue = _Queue(jobs, claims or NoClaims(), listener)
    if workers == 0:
        _inline(queue, store, listener)
        return
    suspects: list[Job] = []
    while queue.waiting or suspects:
        # After a worker died, each job that was running is tried alone, to find the culprit.
        alone = suspects.pop() if suspects else None
        with _pool(1 if alone else workers, store, devices) as pool:
            suspects += _Crew(pool, workers, queue, listener, alone).work()


class _Queue:
    """Jobs that wait, and the keys that they wait for."""

    def __init__(self, jobs: Sequence[Job], claims: Claims, listener: Listener) -> None:
        self.waiting = list(jobs)
        self._undone = {job.key for job in jobs}
        self._claims, self._listener = claims, listener
        self._said: set[str] = set()

    def take(self, n: int) -> list[Job]:
        """Claim up to n jobs whose needs are done."""
        taken: list[Job] = []
        while len(taken) < n:
            verdicts = self._verdicts()
            job = next(verdicts, None)
            if job is None:
                break
            taken.append(job)
        return taken

    def _verdicts(self) -> Iterator[Job]:
        for job in self._ready():
            verdict = self._claims.take(job)
            if verdict == "busy":
                continue
            self.waiting.remove(job)
            if verdict == "mine":
                yield job
                return
            self._undone.discard(job.key)
            self._listener(Event("found", job))

    def _ready(self) -> list[Job]:
        return [job for job in self.waiting if not self._undone.intersection(job.needs)]

    def wait_for_others(self) -> None:
        """Say what other processes are making, and let some time pass."""
        for job in self._ready():
            if job.key not in self._said:
                self._said.add(job.key)
                self._listener(Event("waiting", job, result=self._claims.holder(job)))
        time.sleep(_POLL_SECONDS)

    def give_up(self, job: Job) -> None:
        self._claims.release(job)

    def done(self, job: Job) -> None:
        self._undone.discard(job.key)
        self._claims.release(job)

    def drop_with_dependants(self, job: Job) -> None:
        # Nothing that needs it can run.
        self._claims.release(job)
        lost = {job.key}
        while orphans := [other for other in self.waiting if lost.intersection(other.needs)]:
            lost.update(orphan.key for orphan in orphans)
            self.waiting = [other for other in self.waiting if other not in orphans]


class _Crew:
    """The workers of one pool, until nothing is left to do or one of them dies.

    Args:
        pool: of processes.
        size: how many jobs run at once.
        queue: where jobs come from.
        listener: called at every start and end.
        alone: the only job to do, suspected of killing its worker.
    """

    def __init__(
        self,
        pool: ProcessPoolExecutor,
        size: int,
        queue: _Queue,
        listener: Listener,
        alone: Job | None,
    ) -> None:
        self._pool, self._size, self._queue = pool, size, queue
        self._listener, self._alone = listener, alone
        self._running: dict[Future[tuple[str | None, float]], Job] = {}
        self._damaged: CorruptArtifactError | None = None

    def work(self) -> list[Job]:
        """Work; if a worker died, return the jobs that may have killed it."""
        if self._alone is not None:
            self._start(self._alone)
        while True:
            for job in self._queue.take(self._idle):
                self._start(job)
            if self._running:
                # There may be work for an idle worker once another process is done with something.
                timeout = _POLL_SECONDS if self._idle and self._queue.waiting else None
                finished, _ = wait(self._running, timeout, return_when=FIRST_COMPLETED)
                if (suspects := self._settled(finished)) is not None:
                    return suspects
            elif self._damaged is not None:
                raise self._damaged
            elif self._alone is not None or not self._queue.waiting:
                return []
            else:
                self._queue.wait_for_others()

    @property
    def _idle(self) -> int:
        if self._alone is not None or self._damaged is not None:
            return 0
        return self._size - len(self._running)

    def _start(self, job: Job) -> None:
        self._running[_submit(self._pool, job)] = job
        self._listener(Event("started", job))

    def _settled(self, finished: Iterable[Future[tuple[str | None, float]]]) -> list[Job] | None:
        for future in finished:
            job = self._running.pop(future)
            try:
                result, seconds = future.result()
            except BrokenProcessPool:
                if self._alone is None:
                    return [job, *self._running.values()]
                self._queue.drop_with_dependants(job)
                self._listener(Event("died", job))
                return []
            except CorruptArtifactError as error:
                self._damaged = error  # what else is running need not be lost
                self._queue.give_up(job)
                continue
            self._queue.done(job)
            self._listener(Event("done", job, seconds, result))
        return None


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future[tuple[str | None, float]]:
    try:
        with _interrupts_held_back(), _main_module_hidden():
            return pool.submit(worker.work, job)
    except BrokenProcessPool as error:  # a worker died since we last looked
        future: Future[tuple[str | None, float]] = Future()
        future.set_exception(error)
        return future


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    # A worker that starts here inherits this, so that Ctrl-C does not reach it while it imports.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    # A worker that starts here would import the script that runs, and so run it once more.
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _inline(queue: _Queue, store: StageStore, listener: Listener) -> None:
    worker.start(store, ignore_interrupts=False)
    while queue.waiting:
        jobs = queue.take(1)
        if not jobs and queue.waiting:
            queue.wait_for_others()
        for job in jobs:
            listener(Event("started", job))
            try:
                result, seconds = worker.work(job)
            except BaseException:
                queue.give_up(job)
                raise
            queue.done(job)
            listener(Event("done", job, seconds, result))


@contextmanager
def _pool(workers: int, store: StageStore, devices: Sequence[str]) -> Iterator[ProcessPoolExecutor]:
    spawn = multiprocessing.get_context("spawn")
    free = spawn.SimpleQueue()  # of which each worker takes one as it starts
    for device in devices[:workers]:
        free.put(device)
    others = set(multiprocessing.active_children())  # of whoever runs this in a process of theirs
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    pool = ProcessPoolExecutor(
        workers,
        mp_context=spawn,
        initializer=worker.start,
        initargs=(store, free) if devices else (store,),
    )
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        _end(pool, set(multiprocessing.active_children()) - others)
        raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end(pool: ProcessPoolExecutor, processes: Collection[BaseProcess]) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    end = time.monotonic() + _END_SECONDS
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        if process.is_alive():
            process.kill()
