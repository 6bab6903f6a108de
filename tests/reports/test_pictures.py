"""Pictures name leaders in place, keep to their box, and draw what is far below on its edge."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from made_up_records import made_up_board, made_up_method, made_up_record

from taskmark.reports.board import boards
from taskmark.reports.leaders import answer
from taskmark.reports.pictures import HEIGHT, WIDTH, cost_picture, named, profile_picture
from taskmark.reports.plot_data import priced_rows


@pytest.fixture(scope="module")
def board():
    return boards(made_up_board(backbones=("image-text",), n=200, more_methods=30))[0]


def test_every_priced_row_is_a_point_in_the_box_and_the_best_is_on_top(board):
    picture = cost_picture(board, priced_rows(board))
    assert {dot.row.key for dot in picture.dots} == {row.key for row in board.ranked}
    for dot in picture.dots:
        assert 0 <= dot.x <= WIDTH
        assert 0 <= dot.high <= dot.y <= dot.low <= HEIGHT
    assert min(picture.dots, key=lambda dot: dot.y).row is board.ranked[0]
    by_price = sorted(picture.dots, key=lambda dot: dot.x)
    assert [dot.seconds for dot in by_price] == sorted(dot.seconds for dot in by_price)


def test_leaders_and_known_methods_have_labels_that_do_not_overlap(board):
    spread = [
        replace(point, seconds=0.01 * 1.3**place) for place, point in enumerate(priced_rows(board))
    ]
    picture = cost_picture(board, spread)
    labelled = [dot for dot in picture.dots if dot.labelled]
    assert {dot.row.key for dot in labelled} == set(named(board)) < {r.key for r in board.ranked}
    assert {row.key for row in answer(board).leaders} <= set(named(board))
    assert picture.dots[-len(labelled) :] == tuple(labelled)  # drawn over the others
    for i, one in enumerate(labelled):
        for other in labelled[:i]:
            apart_x = abs(one.label_x - other.label_x)
            apart_y = abs(one.label_y - other.label_y)
            widths = 6.6 * (len(one.row.label) + len(other.row.label)) / 2
            assert apart_y >= 14 or apart_x >= widths - 1, (one.row.label, other.row.label)


def test_a_row_far_below_all_others_does_not_squeeze_them():
    skills = {f"m{i}": 0.8 + 0.01 * i for i in range(8)} | {"far": 0.0}
    [board] = boards(
        [made_up_record(n=300, method=made_up_method(n), skill=s) for n, s in skills.items()]
    )
    picture = cost_picture(board, priced_rows(board))
    assert [dot.row.label for dot in picture.dots if dot.below] == ["far"]
    others = [dot.y for dot in picture.dots if not dot.below]
    assert max(others) - min(others) > HEIGHT / 3


def test_without_seconds_there_is_no_picture(board):
    assert cost_picture(board, []) is None


def test_a_profile_shows_a_few_of_many_methods_and_has_all_of_them(board):
    picture = profile_picture(board)
    assert len(picture.series) == len(board.ranked) > 30
    shown = [one.row.label for one in picture.series if one.shown]
    assert 3 <= len(shown) <= 8
    assert board.ranked[0].label in shown
    assert [one.place for one in picture.series] == list(range(len(board.ranked)))
    assert [tick.text for tick in picture.x_ticks] == list(board.tasks)
    for one in picture.series:
        assert len(one.dots) == len(board.tasks)


def test_the_page_hides_the_series_that_are_not_chosen(site_of):
    records = made_up_board(backbones=("image-text",), n=60, more_methods=30)
    [board] = boards(records)
    page = site_of(records)["mini@1.0/plots-image-text.html"]
    hidden = len(re.findall(r'<g class="series"[^>]* hidden>', page))
    n_shown = sum(one.shown for one in profile_picture(board).series)
    assert hidden == len(board.ranked) - n_shown
    assert page.count("data-choose=") == len(board.ranked)
    assert page.count(" checked>") == n_shown
