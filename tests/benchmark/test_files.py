"""Files are written whole or not at all; what killed writers leave is removed, and no more."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskmark import atomic_files
from taskmark.atomic_files import (
    check_writable,
    list_drafts,
    open_locked,
    remove_abandoned_drafts,
    write_atomically,
)
from taskmark.errors import TaskmarkError


def test_a_file_is_replaced_as_a_whole_and_leaves_no_temporary_one(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_atomically(path, b"old")
    write_atomically(path, [b"ne", memoryview(b"w")], sync=False)
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "fdopen", "replace"])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, call):
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path if call == "replace" else os, call, full)
    with pytest.raises(TaskmarkError, match=r"cannot be written \(No space left on device\); free"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("sync", [True, False])
def test_only_what_must_outlive_a_power_cut_waits_for_the_disk(tmp_path, monkeypatch, sync):
    calls = []
    monkeypatch.setattr(os, "fsync", calls.append)
    write_atomically(tmp_path / "file", b"x", sync=sync)
    assert len(calls) == (2 if sync else 0)  # the file and its folder


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file.json", b"new")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["a file in the folder's place", "the kernel's folder"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, place):
    if place.startswith("a file"):
        (tmp_path / "blocked").write_text("x")
        folder = tmp_path / "blocked" / "deeper"
    else:
        folder = Path("/proc/taskmark")
    with pytest.raises(TaskmarkError, match=r"cannot be written \(.*\); name another"):
        write_atomically(folder / "file", b"x", cure="name another")


def _write_half_and_die(path: Path) -> None:
    def pieces():
        yield b"half of"
        os.kill(os.getpid(), signal.SIGKILL)

    write_atomically(path, pieces())


@pytest.fixture
def killed_writer():
    """Leave the draft of a writer that was killed."""

    def leave(path: Path) -> Path:
        before = set(list_drafts(path.parent))
        process = multiprocessing.get_context("spawn").Process(
            target=_write_half_and_die, args=(path,)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        (draft,) = set(list_drafts(path.parent)) - before
        return draft

    return leave


def test_drafts_of_killed_writers_are_removed_and_no_others(tmp_path, killed_writer):
    lost = [killed_writer(tmp_path / "one"), killed_writer(tmp_path / "kind" / "two")]
    other_machine = lost[0].with_name(".file.00000000.0a0a0a0a.draft")
    other_machine.write_text("half of")
    (tmp_path / ".hidden").write_text("mine")
    met = []

    def pieces():
        met.extend(remove_abandoned_drafts(tmp_path))
        yield b"whole"

    write_atomically(tmp_path / "three", pieces())
    assert met == lost
    assert (tmp_path / "three").read_bytes() == b"whole"
    assert list_drafts(tmp_path) == [other_machine]
    assert (tmp_path / ".hidden").exists()


def test_sweeping_never_takes_the_draft_of_a_writer_that_has_just_begun(tmp_path, monkeypatch):
    flock, swept = fcntl.flock, []

    def late(handle, how):
        if not swept:  # the draft is there, and nothing says yet that it is being written
            swept.append(None)
            swept.extend(remove_abandoned_drafts(tmp_path))
        flock(handle, how)

    monkeypatch.setattr(atomic_files.fcntl, "flock", late)
    write_atomically(tmp_path / "file", b"whole")
    assert len(swept) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_writers_and_sweepers_at_once_lose_nothing(tmp_path):
    def write(n: int) -> None:
        remove_abandoned_drafts(tmp_path)
        write_atomically(tmp_path / f"{n}", b"%d" % n, sync=False)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(200)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        f"{n}": b"%d" % n for n in range(200)
    }


def test_a_folder_that_is_not_there_has_no_drafts(tmp_path):
    assert remove_abandoned_drafts(tmp_path / "none") == []


def test_trying_a_folder_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        TaskmarkError, match=r"The folder '\S+/file' cannot be written \(File exists"
    ):
        check_writable(tmp_path / "file")


def test_trying_a_folder_that_breaks_leaves_nothing(tmp_path, monkeypatch):
    def broken(_folder):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(atomic_files, "_sync_folder", broken)
    with pytest.raises(TaskmarkError, match="cannot be written"):
        check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_promise_is_no_error_and_one_that_breaks_is(
    tmp_path, monkeypatch, number, fails
):
    fsync = os.fsync

    def of_folders(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112 - no path but a handle
            raise OSError(number, os.strerror(number))
        fsync(handle)

    monkeypatch.setattr(atomic_files.os, "fsync", of_folders)
    if fails:
        with pytest.raises(TaskmarkError, match="cannot be written"):
            write_atomically(tmp_path / "file", b"new")
    else:
        write_atomically(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_stops_nothing(tmp_path, monkeypatch, number):
    def refuse(_handle, _how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic_files.fcntl, "flock", refuse)
    write_atomically(tmp_path / "file", b"new")
    handle = open_locked(tmp_path / "lock")
    assert handle is not None
    os.close(handle)
    (draft := tmp_path / atomic_files._draft_name("other")).write_text("half of")
    assert remove_abandoned_drafts(tmp_path) == []  # somebody may be writing it
    assert draft.exists()
