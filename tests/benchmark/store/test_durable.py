"""Durable files: what killed processes leave is removed, what others write is not."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from taskmark.errors import TaskmarkError
from taskmark.store import durable
from taskmark.store.durable import atomic_write, check_writable, drafts, sweep
from taskmark.store.owners import Owner

DAY = 24 * 3600


def _draft(folder, owner):
    folder.mkdir(exist_ok=True)
    path = folder / f".file.json.{owner.tag}.0000.draft"
    path.write_text("half of")
    return path


@pytest.fixture
def gone():
    return replace(Owner.this(), start=1)


@pytest.fixture
def elsewhere():
    return replace(Owner.this(), machine="0" * 12)


def test_drafts_of_processes_that_ended_are_removed_and_no_others(tmp_path, gone, elsewhere):
    lost = [_draft(tmp_path, gone), _draft(tmp_path / "kind", gone)]
    looks_alike = f"{'0' * 64}-000001-00000002.json"  # as the names of checkpoints do
    path = lost[1].rename(lost[1].with_name(f".{looks_alike}{lost[1].name}"))
    lost[1] = path
    kept = [_draft(tmp_path, Owner.this()), _draft(tmp_path, elsewhere)]
    (tmp_path / ".hidden").write_text("mine")
    assert sweep(tmp_path) == lost
    assert all(path.exists() for path in (*kept, tmp_path / ".hidden"))
    assert sorted(drafts(tmp_path)) == sorted(kept)


def test_drafts_of_other_machines_are_removed_a_day_later(tmp_path, elsewhere):
    path = _draft(tmp_path, elsewhere)
    now = path.stat().st_mtime
    os.utime(path, (now, now - DAY + 600))
    assert sweep(tmp_path) == []
    os.utime(path, (now, now - DAY - 600))
    assert sweep(tmp_path) == [path]
    assert list(drafts(tmp_path)) == []


def test_a_folder_that_is_not_there_has_no_drafts(tmp_path):
    assert sweep(tmp_path / "none") == []


def test_trying_a_folder_leaves_nothing(tmp_path):
    check_writable(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        TaskmarkError, match=r"The folder '\S+/file' cannot be written \(File exists"
    ):
        check_writable(tmp_path / "file")


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_promise_is_no_error_and_one_that_breaks_is(
    tmp_path, monkeypatch, number, fails
):
    fsync = os.fsync

    def of_folders(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112 - no path but a handle
            raise OSError(number, os.strerror(number))
        fsync(handle)

    monkeypatch.setattr(durable.os, "fsync", of_folders)
    if fails:
        with pytest.raises(TaskmarkError, match="cannot be written"):
            atomic_write(tmp_path / "file", b"new")
    else:
        atomic_write(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"


def test_trying_a_folder_that_breaks_leaves_nothing(tmp_path, monkeypatch):
    def broken(_folder):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(durable, "_sync_folder", broken)
    with pytest.raises(TaskmarkError, match="cannot be written"):
        check_writable(tmp_path)
    assert not list(tmp_path.iterdir())
