"""Killed at any moment, a run goes on to the records of one that was not."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import replace

from trials import TALLY, start

END_SECONDS = 2.0  # within which an interrupted run is to end; measured, and not asserted


def _kill_somewhere(trial, of, chance, *, by=signal.SIGKILL):
    """Start a run and end it at a random moment of a random job -> it, and the job."""
    job = chance.choice(of.jobs)
    running = start(trial)
    if running.until("started", job["key"]):
        time.sleep(chance.random() * job["seconds"])
        running.kill(by)
    return running, job


def test_a_run_that_is_killed_goes_on_to_the_same_records(
    of_two_tasks, tmp_path, chance, n_kills, long
):
    """Several kills hit one store, one after the other, before a run may come to its end."""
    killed: Counter[str] = Counter()
    n = 0
    while sum(killed.values()) < n_kills:
        n += 1
        trial = of_two_tasks.elsewhere(tmp_path / str(n))
        for _ in range(chance.randint(1, 3)):
            running, job = _kill_somewhere(trial, of_two_tasks, chance)
            if running.end() == -signal.SIGKILL:
                killed[job["kind"]] += 1
        of_two_tasks.check_resumed(trial)
    TALLY["kills tried"] += sum(killed.values())
    if long:
        assert set(killed) == {job["kind"] for job in of_two_tasks.jobs}  # no stage was spared


def test_workers_that_are_killed_with_their_parent_leave_nothing(
    undisturbed, tmp_path, chance, some
):
    trial = replace(undisturbed.elsewhere(tmp_path), workers=2)
    for _ in some(range(8), 1):
        running, _ = _kill_somewhere(trial, undisturbed, chance)
        TALLY["kills tried"] += running.end() == -signal.SIGKILL
    undisturbed.check_resumed(replace(trial, workers=0))


def test_an_interrupted_run_tidies_up_and_goes_on(undisturbed, tmp_path, chance, some):
    for n in some(range(20), 2):
        trial = undisturbed.elsewhere(tmp_path / str(n))
        running, _ = _kill_somewhere(trial, undisturbed, chance, by=signal.SIGINT)
        begin = time.monotonic()
        code = running.end()
        seconds = time.monotonic() - begin
        assert code in (0, 130)
        TALLY["interrupts"] += 1
        TALLY[f"of them ended within {END_SECONDS:.0f} s"] += seconds <= END_SECONDS
        assert not list((trial.store.folder / "locks").iterdir())
        undisturbed.check_resumed(trial)
