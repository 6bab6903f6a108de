"""Results in Python: tables and boards that say what the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import taskmark
from taskmark.errors import TaskmarkError
from taskmark.records.record_files import read_records
from taskmark.reports.board import boards, normalise_records
from taskmark.reports.tables import RECORD_TYPES, records_frame

EXAMPLE = Path(__file__).parents[2] / "examples" / "mini-1.0"


@pytest.fixture(scope="module")
def results():
    return taskmark.load_results(EXAMPLE)


def test_its_table_is_that_of_the_records(results):
    table = results.to_dataframe()
    assert list(table.columns) == list(RECORD_TYPES)
    records = read_records(EXAMPLE)
    shares = normalise_records(boards(records))
    pd.testing.assert_frame_equal(table, records_frame(records, shares))


def test_a_board_has_the_rows_of_the_page_in_their_order(results):
    (page,) = (b for b in boards(read_records(EXAMPLE)) if b.backbone == "image_text")
    board = results.board("image_text")
    assert list(board.columns[:8]) == [
        "rank",
        "method",
        "recipe",
        "track",
        "normalised_accuracy",
        "low",
        "high",
        "accuracy",
    ]
    assert list(board["method"]) == [row.label for row in page.rows]
    ranks = [row.standing.rank if row.standing else None for row in page.rows]
    assert [None if pd.isna(rank) else rank for rank in board["rank"]] == ranks
    for line, row in zip(board.to_dict("records"), page.measured, strict=False):
        assert line["normalised_accuracy"] == row.normalised_accuracy
        assert line["low"] == row.intervals.normalised_low
        assert line["low"] <= line["normalised_accuracy"] <= line["high"] <= 2
    assert results.backbones == tuple(dict.fromkeys(r.backbone for r in results.records))


def test_a_notebook_shows_range_bars_and_escapes_names(results):
    board = results.board("image_text")
    html = board._repr_html_()
    assert html.count("<svg") == int(board["normalised_accuracy"].notna().sum())
    bars = re.findall(r'<rect x="([-\d.]+)" width="([\d.]+)" y="3"', html)
    assert all(float(x) >= 0 and float(x) + float(width) <= 161 for x, width in bars)
    board.loc[0, "method"] = "<script>"
    assert "<script>" not in board._repr_html_()
    assert "image_text" in results._repr_html_()
    assert re.fullmatch(r"<Results in '.*': \d+ records of mini@1\.0 on image_.*>", repr(results))


def test_what_is_selected_from_a_board_is_a_plain_table(results):
    selected = results.board("image_text")[["method", "rank"]]
    assert type(selected) is pd.DataFrame
    assert "svg" not in selected._repr_html_()


def test_a_board_that_is_not_there_is_a_sentence(results, tmp_path):
    with pytest.raises(TaskmarkError, match="did you mean 'image_text'"):
        results.board("image_txt")
    with pytest.raises(TaskmarkError, match=r"no suite with such a board 'mini@2\.0'"):
        results.board("image_text", suite="mini@2.0")
    with pytest.raises(TaskmarkError, match="no seed of this board '99'"):
        results.board("image_text", seed=99)
    with pytest.raises(TaskmarkError, match="no records in"):
        taskmark.load_results(tmp_path)
    if len(results.backbones) > 1:
        with pytest.raises(TaskmarkError, match=r"boards .*; name the backbone"):
            results.board()
