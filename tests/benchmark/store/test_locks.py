"""Locks: one holder at a time, and no lock outlives its holder."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskmark import atomic_files
from taskmark.errors import TaskmarkError
from taskmark.store.locks import ArtifactLocks, lock_out_runs

PROCESSES = multiprocessing.get_context("spawn")


def test_a_lock_is_held_by_one_and_then_by_the_next(tmp_path):
    with ArtifactLocks(tmp_path) as one, ArtifactLocks(tmp_path) as other:
        assert one.take("job")
        assert not other.take("job")
        assert not one.take("job")
        assert other.take("another")
        one.release("job")
        assert other.take("job")
    assert not list(one.folder.iterdir())


def test_of_many_who_want_it_at_once_one_has_it(tmp_path):
    crowd = [ArtifactLocks(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for round_ in range(50):
            name = f"job {round_}"
            taken = list(threads.map(lambda locks, name=name: locks.take(name), crowd))
            assert sum(taken) == 1


def test_a_lock_is_not_taken_on_a_file_that_went_with_its_former_lock(tmp_path, monkeypatch):
    """Between opening and locking, one process gives the lock back and another takes it."""
    flock, winner = fcntl.flock, ArtifactLocks(tmp_path)
    assert winner.take("job")

    def late(handle, how):
        monkeypatch.undo()
        winner.release("job")
        assert winner.take("job")
        flock(handle, how)

    monkeypatch.setattr(atomic_files.fcntl, "flock", late)
    assert not ArtifactLocks(tmp_path).take("job")


def _take_and_wait(root, line):
    locks = ArtifactLocks(root)
    locks.__enter__()
    line.send(locks.take("job"))
    signal.pause()


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a lock and is killed on demand."""
    here, there = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_take_and_wait, args=(tmp_path, there))
    process.start()
    assert here.recv() is True
    yield process
    process.kill()
    process.join()


def test_the_lock_of_a_process_that_is_killed_is_free_at_once(tmp_path, holder):
    with ArtifactLocks(tmp_path) as locks:
        assert not locks.take("job")
        holder.kill()
        holder.join()
        assert locks.take("job")
    assert not list(locks.folder.iterdir())


@pytest.mark.usefixtures("holder")
def test_files_that_killed_processes_left_are_removed_and_no_others(tmp_path):
    (ArtifactLocks(tmp_path).folder / "old.lock").touch()
    with ArtifactLocks(tmp_path) as locks:
        assert locks.take("mine")
        assert {path.name for path in locks.folder.iterdir()} == {"mine.lock", "job.lock"}
        with ArtifactLocks(tmp_path):
            assert {path.name for path in locks.folder.iterdir()} == {"mine.lock", "job.lock"}


def test_a_store_in_use_is_not_pruned_until_the_run_ends_or_is_killed(tmp_path, holder):
    with ArtifactLocks(tmp_path), ArtifactLocks(tmp_path):  # runs do not keep each other out
        pass
    with pytest.raises(TaskmarkError, match="is in use by a run"), lock_out_runs(tmp_path):
        pytest.fail("the store is in use")
    holder.kill()
    holder.join()
    with lock_out_runs(tmp_path):
        pass


def test_a_run_waits_for_the_end_of_pruning(tmp_path):
    order = []

    def run():
        with ArtifactLocks(tmp_path):
            order.append("run")

    with ThreadPoolExecutor(1) as thread:
        with lock_out_runs(tmp_path):
            waiting = thread.submit(run)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            order.append("prune")
        waiting.result()
    assert order == ["prune", "run"]


def test_where_there_are_no_locks_everybody_may_work(tmp_path, monkeypatch):
    def refuse(_handle, _how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(atomic_files.fcntl, "flock", refuse)
    with ArtifactLocks(tmp_path) as one, ArtifactLocks(tmp_path) as other:
        assert one.take("job")
        assert other.take("job")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(TaskmarkError, match=r"lock .* cannot be written"),
        ArtifactLocks(tmp_path / "file"),
    ):
        pass
    with pytest.raises(TaskmarkError, match=r"lock .* cannot be written"):
        ArtifactLocks(tmp_path / "file").take("job")
