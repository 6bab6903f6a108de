"""Several processes on one store: everything is made once, and all have the same records."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import replace

import pytest
from trials import TALLY, start


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


def test_files_of_locks_that_were_left_stop_nobody(of_two_tasks, tmp_path):
    """As they are after a power cut: every file is there, and nobody holds its lock."""
    trial = of_two_tasks.elsewhere(tmp_path)
    folder = trial.store.folder / "locks"
    folder.mkdir(parents=True)
    for job in of_two_tasks.jobs:
        (folder / f"{job['kind']}-{job['key']}.lock").touch()
    made = _race(of_two_tasks, trial, 2)
    assert made == dict.fromkeys([job["key"] for job in of_two_tasks.jobs], 1)
