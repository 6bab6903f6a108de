"""The published example: a site is built from its records, whole and without faults."""

from __future__ import annotations

import shutil
from pathlib import Path

from site_faults import faults

from taskmark.reports import build, read_records

EXAMPLE = Path(__file__).parents[2] / "examples" / "mini-1.0"


def test_the_records_of_the_example_build_a_site_without_faults(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "example")
    page = build(tmp_path / "example")
    records = read_records(EXAMPLE)
    methods = {record.method.name for record in records}
    assert {path.stem for path in page.parent.glob("methods/*.html")} >= methods
    assert len(list(page.parent.glob("records/*.html"))) == len(records)
    assert faults(page.parent) == []
