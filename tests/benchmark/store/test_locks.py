"""Locks: one holder at a time, and no lock outlives its holder."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from taskmark.errors import TaskmarkError
from taskmark.store import locks as module
from taskmark.store.locks import Locks, living
from taskmark.store.owners import Owner


@pytest.fixture
def clock(monkeypatch):
    """The clock that locks are watched by, in a list of one number."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def _left_by(folder, owner, name="job"):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.lock"
    path.write_text(json.dumps({"owner": owner.tag, "pid": owner.pid, "host": "there"}))
    return path


ELSEWHERE = Owner("0" * 12, 77, 1)


@pytest.fixture
def gone():
    return replace(Owner.this(), start=1)


def test_a_lock_is_held_by_one_and_then_by_the_next(tmp_path):
    with Locks(tmp_path) as one, Locks(tmp_path) as other:
        assert one.take("job")
        assert not other.take("job")
        assert other.take("another")
        assert other.holder("job").startswith(f"process {os.getpid()} on ")
        one.release("job")
        assert other.take("job")
    assert not list(tmp_path.iterdir())


def test_of_many_who_want_it_at_once_one_gets_it(tmp_path, gone):
    for round_ in range(20):
        name = f"job {round_}"
        if round_ % 2:
            _left_by(tmp_path, gone, name)
        with ThreadPoolExecutor(8) as threads:
            crowd = [Locks(tmp_path) for _ in range(8)]
            taken = list(threads.map(lambda locks, name=name: locks.take(name), crowd))
        if sum(taken) == 0:  # each found another's claim to take it over, and looks again later
            taken = [crowd[0].take(name)]
        assert sum(taken) == 1
        assert not list(tmp_path.glob("*.takeover"))


def test_the_lock_of_a_process_that_ended_is_taken_over_at_once(tmp_path, gone):
    path = _left_by(tmp_path, gone)
    with Locks(tmp_path) as locks:
        assert locks.take("job")
        assert Owner.parse(path.read_text()) == Owner.this()
    assert not path.exists()


@pytest.mark.parametrize("content", [None, "", "{half"])
def test_a_lock_that_nobody_touches_is_taken_over_after_a_while(tmp_path, clock, content):
    path = _left_by(tmp_path, ELSEWHERE)
    if content is not None:
        path.write_text(content)
    locks = Locks(tmp_path, stale=60)
    assert not locks.take("job")
    clock[0] += 59
    assert not locks.take("job")
    clock[0] += 1
    assert locks.take("job")


def test_a_lock_that_is_touched_is_left_alone_whatever_the_clocks_say(tmp_path, clock):
    path = _left_by(tmp_path, ELSEWHERE)
    locks = Locks(tmp_path, stale=60)
    for beat in (0, 4_000_000_000, 7, 8):  # the clock of the other machine jumps
        os.utime(path, (beat, beat))
        assert not locks.take("job")
        clock[0] += 59
    assert not locks.take("job")


def test_a_claim_to_take_over_that_was_left_is_removed(tmp_path, gone):
    path = _left_by(tmp_path, gone)
    claim = path.with_suffix(".takeover")
    claim.write_text(path.read_text())
    locks = Locks(tmp_path)
    assert not locks.take("job")
    assert not claim.exists()
    assert locks.take("job")


def test_who_was_taken_for_gone_does_not_release_the_lock_of_its_successor(tmp_path):
    with Locks(tmp_path) as late:
        assert late.take("job")
        path = _left_by(tmp_path, ELSEWHERE)
        late.release("job")
        assert path.exists()


def test_a_heart_beats_while_a_lock_is_held(tmp_path):
    with Locks(tmp_path, heartbeat=0.01) as locks:
        assert locks.take("job")
        path = tmp_path / "job.lock"
        os.utime(path, (1, 1))
        end = time.monotonic() + 20
        while path.stat().st_mtime == 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert path.stat().st_mtime > 1


def test_sweeping_removes_what_ended_processes_left(tmp_path, gone):
    _left_by(tmp_path, gone, "old")
    _left_by(tmp_path, gone, "claimed").rename(tmp_path / "claimed.takeover")
    _left_by(tmp_path, ELSEWHERE, "there")
    with Locks(tmp_path) as locks:
        assert locks.take("mine")
        assert locks.sweep() == ["old"]
        assert {path.name for path in tmp_path.iterdir()} == {"mine.lock", "there.lock"}
        assert len(list(living(tmp_path))) == 2


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(TaskmarkError, match=r"lock .* cannot be written"), Locks(tmp_path / "file"):
        pass
    with pytest.raises(TaskmarkError, match=r"lock .* cannot be written"):
        Locks(tmp_path / "missing").take("job")


def test_anything_in_a_lock_has_a_holder_for_people(tmp_path):
    locks = Locks(tmp_path)
    for content in (b"", b"\xff\x00", b"[1]", b'{"pid": "x"}', b"[" * 5000, b'{"pid": 1}'):
        (tmp_path / "job.lock").write_bytes(content)
        assert locks.holder("job") == "another process"
