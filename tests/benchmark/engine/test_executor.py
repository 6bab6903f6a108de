"""The executor: order, deaths, errors and interrupts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import executor_jobs
import pytest
from executor_jobs import Place, job

from taskmark.engine import executor, worker
from taskmark.engine.executor import execute
from taskmark.errors import CorruptArtifactError, TaskmarkError


@pytest.fixture(autouse=True)
def _light_workers(monkeypatch):
    monkeypatch.setattr(worker, "start", executor_jobs.start)


def _run(jobs, folder, *, workers=0):
    events = []
    execute(jobs, Place(str(folder)), workers=workers, listener=events.append)
    assert not multiprocessing.active_children()
    return [(event.state, event.job.key) for event in events], events


@pytest.mark.parametrize("workers", [0, 2])
def test_jobs_run_once_each_after_what_they_need(tmp_path, workers):
    jobs = [job("d", "c", "b"), job("c", "a"), job("b", "a", "done before"), job("a")]
    states, events = _run(jobs, tmp_path, workers=workers)
    finished = [key for state, key in states if state == "done"]
    assert sorted(finished) == ["a", "b", "c", "d"]
    assert finished[0] == "a"
    assert finished[-1] == "d"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        "abcd", "x"
    )
    assert {event.result for event in events if event.state == "done"} == set("abcd")


def test_a_job_that_ends_its_process_takes_down_only_what_needs_it(tmp_path):
    jobs = [
        job("bad", stage=executor_jobs.EndTheProcess),
        job("lost", "bad"),
        job("lost too", "lost"),
        *(job(f"good {i}") for i in range(4)),
        job("after", "good 0"),
    ]
    states, _ = _run(jobs, tmp_path, workers=2)
    assert [key for state, key in states if state == "died"] == ["bad"]
    finished = {key for state, key in states if state == "done"}
    assert finished == {"after", *(f"good {i}" for i in range(4))}
    assert not (tmp_path / "lost").exists()


def test_an_error_is_handed_on_and_nothing_more_is_started(tmp_path):
    jobs = [job("bad", stage=executor_jobs.Fail), job("later", "bad"), job("other")]
    with pytest.raises(TaskmarkError, match="The job bad cannot be done"):
        _run(jobs, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_ends_the_workers_and_restores_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    def interrupted(event):
        if event.state == "done":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute([job("a"), job("b", "a")], Place(str(tmp_path)), workers=1, listener=interrupted)
    for process in multiprocessing.active_children():
        process.join(20)
    assert not multiprocessing.active_children()
    assert not (tmp_path / "b").exists()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_pool_that_broke_before_a_job_was_handed_in_counts_as_a_death(tmp_path, monkeypatch):
    submit = executor.ProcessPoolExecutor.submit
    calls = []

    def broken_once(pool, *arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise executor.BrokenProcessPool("A worker died.")
        return submit(pool, *arguments)

    monkeypatch.setattr(executor.ProcessPoolExecutor, "submit", broken_once)
    states, _ = _run([job("a")], tmp_path, workers=1)
    assert states[-1] == ("done", "a")


class Elsewhere:
    """Another process makes what is busy, and is done with it after some looks."""

    def __init__(self, **looks):
        self.looks, self.held = looks, []

    def take(self, job):
        left = self.looks.get(job.key)
        if left is None:
            self.held.append(job.key)
            return "mine"
        self.looks[job.key] = left - 1
        return "busy" if left else "made"

    def release(self, job):
        self.held.remove(job.key)

    def holder(self, _job):
        return "another"


@pytest.mark.parametrize("workers", [0, 2])
def test_what_another_process_makes_is_waited_for_and_not_made_again(
    tmp_path, monkeypatch, workers
):
    monkeypatch.setattr(executor, "_POLL_SECONDS", 0.01)
    events = []
    claims = Elsewhere(b=4, c=0)
    jobs = [job("d", "b", "c"), job("c", "a"), job("b"), job("a")]
    execute(jobs, Place(str(tmp_path)), workers=workers, listener=events.append, claims=claims)
    states = [(event.state, event.job.key) for event in events]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "d"}
    assert {key for state, key in states if state == "found"} == {"b", "c"}
    assert states.count(("waiting", "b")) <= 1  # it is said once, if there was nothing else to do
    assert states[-1] == ("done", "d")
    assert claims.held == []


def test_what_runs_beside_a_job_that_found_damage_is_not_lost(tmp_path):
    jobs = [
        job("bad", stage=executor_jobs.FindDamage),
        job("slow", stage=executor_jobs.TakeLong),
    ]
    jobs += [job("later", "slow")]
    claims, events = Elsewhere(), []
    with pytest.raises(CorruptArtifactError) as caught:
        execute(jobs, Place(str(tmp_path)), workers=2, listener=events.append, claims=claims)
    assert caught.value.artifact == "kind/key"
    assert (tmp_path / "slow").exists()
    assert not (tmp_path / "later").exists()
    assert claims.held == []


PARENT = """
import sys
sys.path.insert(0, {tests!r})
import executor_jobs
from taskmark.engine.executor import execute

if __name__ == "__main__":
    job = executor_jobs.job("worker", stage=executor_jobs.SayWhoAndWait)
    execute([job], executor_jobs.Place({folder!r}), workers=1, listener=print)
"""


def _until(condition, seconds):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_their_parent_was_killed(tmp_path, by):
    script, worker = tmp_path / "parent.py", tmp_path / "worker"
    tests = str(Path(executor_jobs.__file__).parent)
    script.write_text(PARENT.format(tests=tests, folder=str(tmp_path)))
    parent = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(script)], stdout=subprocess.DEVNULL
    )
    try:
        assert _until(worker.exists, 120)
        process = int(worker.read_text())
        os.kill(process, 0)  # it is there
        parent.send_signal(by)
        parent.wait(30)
        assert _until(lambda: not _runs(process), 30)
    finally:
        parent.kill()
        parent.wait()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
