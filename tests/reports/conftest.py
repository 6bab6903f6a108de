"""What the tests of the reports share: an output folder with made-up records in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from made_up_records import made_up_board, made_up_maps, write_out

from taskmark.reports.board import boards
from taskmark.reports.site.assembling import site_files
from taskmark.reports.site.content import Content, editions
from taskmark.reports.summaries import summaries


@pytest.fixture(scope="session")
def records():
    return made_up_board(backbones=("image-text", "random"), n=200)


@pytest.fixture(scope="session")
def maps():
    return made_up_maps(("image-text", "random"))


@pytest.fixture
def out(tmp_path, records, maps):
    return write_out(tmp_path / "out", records, maps)


@pytest.fixture(scope="session")
def site_of():
    """Render the site of some records: path -> text."""

    def render(records, maps=(), negation=(), localisation=(), tables=None, **more):
        ranked = boards(records)
        found = summaries(ranked, maps)
        content = Content(
            editions(ranked, maps, found, negation, localisation), tables or {}, **more
        )
        return {file.path: file.content.decode() for file in site_files(content)}

    return render


@pytest.fixture(scope="session")
def site(site_of, records, maps):
    return site_of(records, maps)
