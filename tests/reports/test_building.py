"""One call derives everything, twice the same, without torch, and never half a file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from taskmark.errors import TaskmarkError
from taskmark.reports import build
from taskmark.reports.writing import read_manifest

DERIVED = (
    "records.parquet",
    "records.csv",
    "disentanglement.csv",
    "negation.parquet",
    "localisation.csv",
    "record.schema.json",
    "findings.json",
    "site/index.html",
    "site/data/records.csv",
    "site/mini@1.0/board-image-text.html",
    "site/mini@1.0/plots-image-text.html",
)


def test_everything_is_written_and_the_page_is_returned(out):
    assert build(out) == out / "site" / "index.html"
    for name in DERIVED:
        assert (out / name).stat().st_size > 0
    assert json.loads((out / "record.schema.json").read_text())["title"] == "Record"
    assert not list(out.rglob(".*")), "no temporary file is left"


def test_the_same_records_give_the_same_bytes(out):
    build(out)
    first = {name: (out / name).read_bytes() for name in DERIVED}
    build(out)
    assert {name: (out / name).read_bytes() for name in DERIVED} == first


def test_pages_of_records_that_are_gone_are_deleted_and_nothing_else(out, records):
    build(out)
    site = out / "site"
    gone = records[-1]
    (out / "records" / f"{gone.record_id}.json").unlink()
    page, data = (
        site / folder / f"{gone.record_id[:16]}.{suffix}"
        for folder, suffix in (("records", "html"), ("data/records", "json"))
    )
    assert page.exists()
    data.write_text("changed by hand")
    own = [site / "CNAME", site / "records" / "notes.html", site / "mini@1.0" / "extra.svg"]
    for path in own:
        path.write_text("mine")
    build(out)
    assert not page.exists()
    assert all(path.read_text() == "mine" for path in own)
    assert data.read_text() == "changed by hand"


def test_a_manifest_lists_every_file_of_the_site_and_its_hash(out):
    site = build(out).parent
    listed = read_manifest(site / "files.sha256")
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert set(listed) == files - {"files.sha256"}
    for path, sha256 in listed.items():
        assert hashlib.sha256((site / path).read_bytes()).hexdigest() == sha256


def test_an_empty_folder_gives_an_empty_board(tmp_path):
    page = build(tmp_path).read_text()
    assert "No records yet" in page


def test_a_place_that_cannot_be_written_is_named(out):
    (out / "site").write_text("in the way")
    with pytest.raises(TaskmarkError, match=r"site.*cannot be written.*--out"):
        build(out)


def test_building_needs_no_torch(out):
    program = (
        "import sys, pathlib, taskmark.reports as reports\n"
        f"reports.build(pathlib.Path({str(out)!r}))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)  # noqa: S603 - our own program
