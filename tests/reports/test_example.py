"""The published examples: their committed records give the committed site."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_records import write_out

from taskmark.errors import TaskmarkError
from taskmark.reports import example
from taskmark.reports.manifest import read_manifest

EXAMPLES = sorted(path.parent for path in Path(__file__).parents[2].glob("examples/*/records"))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_the_site_of_a_published_example_is_the_one_that_is_committed(folder):
    found = example.differences(folder)
    assert not found, (
        f"{' '.join(found[:5])} {len(found)} files in all. If the pages were meant to change, run "
        f"`python -m taskmark.reports.example examples/{folder.name}` and commit what it writes."
    )


@pytest.fixture
def published(tmp_path, out):
    folder = tmp_path / "published"
    example.renew(folder, out)
    return folder


def test_an_example_is_the_records_of_a_run_and_hashes(published, out):
    assert sorted(path.name for path in published.iterdir()) == [
        "disentanglement",
        "records",
        example.HASHES,
    ]
    for path in (out / "records").iterdir():
        assert (published / "records" / path.name).read_bytes() == path.read_bytes()
    assert example.differences(published) == []


def test_every_difference_is_named(published, records):
    listed = published / example.HASHES
    lines = listed.read_text().replace("  about.html", "  former.html").splitlines()
    lines = ["0" * 64 + line[64:] if line.endswith("  site.css") else line for line in lines]
    listed.write_text("\n".join(lines))
    assert example.differences(published) == [
        "former.html is made no more.",
        "about.html is new.",
        "site.css has changed.",
    ]
    (published / "records" / f"{records[0].record_id}.json").unlink()
    assert f"records/{records[0].record_id[:16]}.html is made no more." in example.differences(
        published
    )


def test_what_hangs_on_libraries_is_left_out_and_so_are_drawings(published, monkeypatch):
    listed = read_manifest(published / example.HASHES)
    assert not [path for path in listed if path.endswith((".parquet", "schema.json"))]
    assert {"data/records.csv", "mini@1.0/plots-image-text.html"} <= set(listed)
    monkeypatch.setattr("taskmark.reports.svg.TEXT", "#123456")
    monkeypatch.setattr("taskmark.reports.tables.parquet_bytes", lambda _: b"another version")
    assert example.differences(published) == []


def test_new_records_replace_those_of_the_example(tmp_path, published, records):
    fewer = write_out(tmp_path / "fewer", records[:3])
    example.renew(published, fewer)
    assert len(list((published / "records").iterdir())) == 3
    assert example.differences(published) == []


def test_records_that_are_not_to_be_trusted_replace_nothing(published, tmp_path, records):
    bad = write_out(tmp_path / "bad", records[:3])
    (bad / "records" / "0.json").write_text("{}")
    with pytest.raises(TaskmarkError, match="not a valid record"):
        example.renew(published, bad)
    assert example.differences(published) == []


def test_an_example_that_is_its_own_source_keeps_its_records(published):
    before = (published / example.HASHES).read_bytes()
    example.renew(published, published)
    assert (published / example.HASHES).read_bytes() == before


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(TaskmarkError, match="no records in"):
        example.renew(tmp_path)
