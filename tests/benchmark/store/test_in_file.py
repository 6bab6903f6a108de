"""Files that are opened again only as they were verified, and for reading alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from taskmark.errors import TaskmarkError
from taskmark.store.in_file import VerifiedFile

CONTENT = b"header" + bytes(range(50))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "images.npy"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def file(path):
    return VerifiedFile.of(str(path), path.stat(), header=6)


def test_it_opens_for_reading_alone(file):
    handle = file.open()
    try:
        assert os.read(handle, 100) == CONTENT
        assert fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(handle, b"x")
    finally:
        os.close(handle)


def _longer(path):
    with path.open("ab") as file:
        file.write(b"x")


def _written_at_another_time(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def _replaced_by_a_copy(path):
    status = path.stat()
    copy = path.with_name("copy")
    copy.write_bytes(CONTENT)
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)


@pytest.mark.parametrize("change", [_longer, _written_at_another_time, _replaced_by_a_copy])
def test_what_was_changed_since_is_refused_and_closed(path, file, change):
    change(path)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(TaskmarkError, match=r"images.npy was changed or replaced .*; run again"):
        file.open()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_what_is_gone_is_one_sentence(path, file):
    path.unlink()
    with pytest.raises(TaskmarkError, match=r"images.npy cannot be opened any more \(No such file"):
        file.open()
