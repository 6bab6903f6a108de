"""One call derives everything, twice the same, without torch, and never half a file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from taskmark.errors import TaskmarkError
from taskmark.reports import build

DERIVED = (
    "records.parquet",
    "records.csv",
    "disentanglement.csv",
    "record.schema.json",
    "findings.json",
    "site/index.html",
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


def test_an_empty_folder_gives_an_empty_board(tmp_path):
    page = build(tmp_path).read_text()
    assert "No records yet" in page


def test_a_place_that_cannot_be_written_is_named(out):
    (out / "site").write_text("in the way")
    with pytest.raises(TaskmarkError, match=r"index\.html.*cannot be written.*--out"):
        build(out)


def test_building_needs_no_torch(out):
    program = (
        "import sys, pathlib, taskmark.reports as reports\n"
        f"reports.build(pathlib.Path({str(out)!r}))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)  # noqa: S603 - our own program
