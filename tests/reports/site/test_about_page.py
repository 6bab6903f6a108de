"""The page about the numbers shows how often the intervals contain the truth."""

from __future__ import annotations

import html
import re

import pytest
from made_up_records import made_up_record

from taskmark.reports.building import build
from taskmark.reports.site.number_formats import percent
from taskmark.statistics.coverage import least, read_table


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    (out / "records").mkdir()
    record = made_up_record(n=20)
    (out / "records" / f"{record.record_id}.json").write_text(record.model_dump_json(), "utf-8")
    build(out)
    return (out / "site" / "about.html").read_text("utf-8")


def test_the_table_of_coverage_is_the_one_that_was_simulated(page):
    table = page.partition('<table class="plain coverage">')[2].partition("</table>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    lines = read_table()
    assert len(rows) == len(lines) > 10
    for row, line in zip(rows, lines, strict=True):
        images, *others = (html.unescape(cell) for cell in row)
        assert images == f"{line.board.n_items}{' (few)' if line.board.few_items else ''}"
        found = line.coverage
        shares = (found.accuracy, found.normalised, found.difference, found.separated)
        assert others == [
            str(line.board.n_tasks),
            str(line.board.n_seeds),
            percent(line.board.true_accuracy),
            percent(line.board.seed_share),
            *map(percent, shares),
            str(found.boards),
        ]


def test_the_least_shares_and_the_command_are_named(page):
    for few_items in (False, True):
        assert f"{percent(least(read_table(), few_items=few_items))} %" in page
    assert "python -m taskmark.statistics.coverage" in page
    assert "conditional" in page
