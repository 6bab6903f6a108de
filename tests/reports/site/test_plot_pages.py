"""Figures of a backbone, and the tables that say the same."""

from __future__ import annotations

from site_elements import text_of

from taskmark.reports.board import boards
from taskmark.reports.plot_data import priced_rows

PLOTS = "mini@1.0/plots-image-text.html"


def test_every_pair_stands_with_its_difference_and_verdict(site, records):
    board = boards(records)[0]
    page = site[PLOTS]
    text = text_of(page)
    n = len(board.ranked)
    told_apart = int((board.pairs.p_value < 0.05).sum())
    matrix = page[page.index('id="pairs"') :]
    assert matrix.count('<td class="better">') + matrix.count('<td class="worse">') == told_apart
    assert matrix.count('<td class="alike">') == n * (n - 1) - told_apart
    assert f"±{100 * board.pairs.margin[0, 1]:.1f}" in text


def test_cosines_are_those_of_the_records(site):
    assert "standard, seed 0: mean 0.010" in text_of(site[PLOTS])


def test_the_list_under_the_costs_says_who_is_on_the_front(site, records):
    text = text_of(site[PLOTS])
    for point in priced_rows(boards(records)[0]):
        assert point.row.label in text
    assert "on the front" in text
