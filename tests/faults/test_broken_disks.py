"""Disks that fail, fill up, or may not be written: a sentence, and nothing is lost."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from trials import TALLY, Fault, JumpingClock, start

from taskmark.suite.suite_file import read

NOBODY = 65534
HOWS = ("killed before", "killed after", "ENOSPC", "EIO", "EACCES", "EROFS")


def _is_told(running):
    code = running.end()
    assert code in (0, 2, -signal.SIGKILL), running.said[-1:]
    if code == 2:
        (sentence,) = running.heard("error")
        assert "cannot be written" in sentence or "cannot be removed" in sentence


@pytest.mark.parametrize("operation", ["fsync", "replace", "open"])
def test_a_fault_at_any_step_of_writing_loses_nothing(undisturbed, tmp_path, some, operation):
    hows = itertools.cycle(HOWS)
    for at in some(range(undisturbed.calls[operation]), 3):
        how = next(hows)
        trial = undisturbed.elsewhere(tmp_path / str(at))
        _is_told(start(trial, Fault(operation, at, how)))
        TALLY["faults injected"] += 1
        undisturbed.check_resumed(trial)
        shutil.rmtree(trial.folder)


def test_a_clock_that_jumps_changes_no_record(undisturbed, tmp_path, chance):
    trial = undisturbed.elsewhere(tmp_path)
    running = start(trial, JumpingClock())
    running.until("done", undisturbed.jobs[4]["key"])
    running.kill()
    running.end()
    for path in trial.folder.rglob("*"):
        os.utime(path, times=(chance.uniform(0, 4e9),) * 2)
    running = start(trial, JumpingClock())
    assert running.end() == 0
    undisturbed.check_records(running)
    undisturbed.check_tidy(trial)
    TALLY["faults injected"] += 2


def _root(*line: str) -> bool:
    return not subprocess.run(line, capture_output=True, check=False).returncode  # noqa: S603


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of so many bytes in a folder."""
    mounted = []

    def mount(n_bytes: int) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir(exist_ok=True)
        if not _root("mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)):
            pytest.skip("only root may mount a small disk")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        _root("umount", "--lazy", str(folder))


@pytest.mark.parametrize("kilobytes", [40, 80, 120])
def test_a_full_disk_is_one_sentence_and_space_is_all_that_it_takes(
    undisturbed, small_disk, kilobytes
):
    trial = undisturbed.elsewhere(small_disk(1024 * kilobytes))
    running = start(trial)
    _is_told(running)
    assert running.process.exitcode == 2
    TALLY["faults injected"] += 1
    assert _root("mount", "-o", "remount,size=64m", str(trial.folder))
    undisturbed.check_resumed(trial)


@pytest.fixture
def owned(undisturbed):
    """A trial in a folder that permissions apply to, which they do not to root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        suite = folder / "suite.toml"
        shutil.copy(undisturbed.trial.suite, suite)
        suite.chmod(0o644)
        assert read(suite)
        trial = replace(undisturbed.trial, folder=folder / "trial", suite=suite)
        trial.folder.mkdir()
        if os.geteuid() == 0:
            os.chown(trial.folder, NOBODY, NOBODY)
            trial = replace(trial, user=NOBODY)
        yield trial
        _allow(trial.folder, 0o755)


def _allow(folder, mode):
    for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        path.chmod(mode)


def test_a_folder_that_is_read_only_is_one_sentence(undisturbed, owned):
    owned.folder.chmod(0o555)
    running = start(owned)
    _is_told(running)
    assert running.process.exitcode == 2
    TALLY["faults injected"] += 1
    owned.folder.chmod(0o755)
    undisturbed.check_resumed(owned)


def test_permission_that_is_lost_on_the_way_loses_nothing(undisturbed, owned, some):
    for n in some(range(0, len(undisturbed.jobs), 3), 1):
        running = start(owned)
        running.until("done", undisturbed.jobs[n]["key"])
        _allow(owned.folder, 0o555)
        _is_told(running)
        TALLY["faults injected"] += 1
        _allow(owned.folder, 0o755)
    undisturbed.check_resumed(owned)
