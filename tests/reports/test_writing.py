"""A manifest is what sha256sum writes, and nothing that it lists leads out of its folder."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmark.errors import TaskmarkError
from taskmark.reports.writing import (
    MANIFEST,
    manifest_bytes,
    read_manifest,
    replace_all,
    sha256,
)


def test_sha256sum_agrees(tmp_path):
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("sha256sum is not installed")
    replace_all(tmp_path, {"a.html": b"one", "b/c.json": b"two"})
    subprocess.run([program, "--check", "--strict", MANIFEST], cwd=tmp_path, check=True)  # noqa: S603 - its own path
    (tmp_path / "a.html").write_bytes(b"other")
    assert subprocess.run([program, "--check", MANIFEST], cwd=tmp_path, check=False).returncode  # noqa: S603


@given(st.dictionaries(st.from_regex(r"[a-z@+./-]+", fullmatch=True), st.binary(max_size=9)))
def test_what_is_written_is_read_back(tmp_path_factory, files):
    path = tmp_path_factory.mktemp("manifest") / "files"
    hashes = {name: sha256(content) for name, content in files.items()}
    path.write_bytes(manifest_bytes(hashes))
    assert read_manifest(path) == hashes
    assert manifest_bytes(dict(reversed(hashes.items()))) == path.read_bytes()


def test_no_manifest_lists_nothing(tmp_path):
    assert read_manifest(tmp_path / "none") == {}


@pytest.mark.parametrize("line", [b"nonsense", b"0" * 63 + b"  a", b"\xff\xfe"])
def test_a_line_that_is_none_is_named(tmp_path, line):
    (tmp_path / "files").write_bytes(line + b"\n")
    with pytest.raises(TaskmarkError, match=r"manifest .*files.*delete"):
        read_manifest(tmp_path / "files")


def test_a_manifest_that_somebody_wrote_deletes_nothing_outside(tmp_path):
    outside = tmp_path / "precious.html"
    outside.write_bytes(b"kept")
    site = tmp_path / "site"
    site.mkdir()
    forged = {"../precious.html": sha256(b"kept"), str(outside): sha256(b"kept")}
    (site / MANIFEST).write_bytes(manifest_bytes(forged))
    replace_all(site, {"index.html": b"page"})
    assert outside.read_bytes() == b"kept"
    assert set(read_manifest(site / MANIFEST)) == {"index.html"}


def test_what_a_former_call_made_is_deleted_and_a_changed_file_is_not(tmp_path):
    replace_all(tmp_path, {"old.html": b"old", "changed.html": b"made", "index.html": b"1"})
    (tmp_path / "changed.html").write_bytes(b"mine")
    replace_all(tmp_path, {"index.html": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "changed.html",
        MANIFEST,
        "index.html",
    ]
    assert (tmp_path / "index.html").read_bytes() == b"2"
