"""Several processes on one store: everything is made once, and all have the same records."""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import replace

import pytest
from trials import TALLY, start

from taskmark.store.owners import Owner


def _race(of, trial, n):
    crowd = [start(replace(trial, folder=trial.folder)) for _ in range(n)]
    codes = [running.end() for running in crowd]
    assert codes == [0] * n, [running.said[-1:] for running in crowd]
    made: Counter[str] = Counter()
    for running in crowd:
        of.check_records(running)
        made.update(what["key"] for what in running.heard("done"))
    of.check_tidy(trial)
    TALLY["races"] += 1
    return made


@pytest.mark.parametrize("n", [2, 4])
def test_processes_that_race_make_each_artifact_once(of_two_tasks, tmp_path, some, n):
    for round_ in some(range(5), 1):
        made = _race(of_two_tasks, of_two_tasks.elsewhere(tmp_path / str(round_)), n)
        assert made == dict.fromkeys([job["key"] for job in of_two_tasks.jobs], 1)


def test_a_process_that_is_killed_in_a_race_leaves_its_work_to_the_others(
    of_two_tasks, tmp_path, chance, some
):
    for round_ in some(range(5), 1):
        trial = of_two_tasks.elsewhere(tmp_path / str(round_))
        job = chance.choice(of_two_tasks.jobs)
        crowd = [start(trial) for _ in range(3)]
        if crowd[0].until("started", job["key"]):
            crowd[0].kill()
        TALLY["kills tried"] += crowd[0].end() == -signal.SIGKILL
        for running in crowd[1:]:
            assert running.end() == 0, running.said[-1:]
            of_two_tasks.check_records(running)
        of_two_tasks.check_resumed(trial)


def test_locks_of_a_machine_that_went_down_are_taken_over_by_those_that_race(
    of_two_tasks, tmp_path
):
    trial = of_two_tasks.elsewhere(tmp_path)
    gone = replace(Owner.this(), start=1)
    trial.store.locks.mkdir(parents=True)
    for job in of_two_tasks.jobs:
        lock = trial.store.locks / f"{job['kind']}-{job['key']}.lock"
        lock.write_text(json.dumps({"owner": gone.tag, "pid": gone.pid, "host": "here"}))
    made = _race(of_two_tasks, trial, 2)
    assert made == dict.fromkeys([job["key"] for job in of_two_tasks.jobs], 1)
