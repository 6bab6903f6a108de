"""A tie is an answer: which of the methods that cannot be told apart asks for less."""

from __future__ import annotations

import pytest
from made_up_records import made_up_board, made_up_method, made_up_record

from taskmark.records.record import MeasuredCost
from taskmark.reports.board import boards
from taskmark.reports.leaders import answer


def row(name, skill, track="weights", seconds=1.0, n=300):
    record = made_up_record(n=n, skill=skill, method=made_up_method(name, track=track))
    measured = record.measured.model_copy(update={"edit_seconds": seconds})
    return record.model_copy(update={"measured": MeasuredCost(**measured.model_dump())})


def asked(*records):
    [board] = boards(records)
    return answer(board)


def test_of_those_that_cannot_be_told_apart_the_one_that_asks_for_less_is_named():
    found = asked(
        row("atlas", 0.7, "labelled", 16.0),
        row("tsv_m", 0.7, "weights", 0.25),
        row("slow", 0.7, "weights", 1.0),
        row("poor", 0.1, "weights", 0.001),
    )
    assert found.best.label == "atlas"
    assert {one.label for one in found.tied} == {"tsv_m", "slow"}
    assert found.least.label == "tsv_m"
    assert found.spared == "no images and no labels, and 1/64 of the time to edit"


@pytest.mark.parametrize(
    ("track", "seconds", "spared"),
    [
        ("unlabelled", 16.0, "no labels"),
        ("unlabelled", 4.0, "no labels, and 1/4 of the time to edit"),
        ("labelled", 4.0, "1/4 of the time to edit"),
        ("labelled", 9.0, ""),
        ("labelled", 40.0, ""),
    ],
)
def test_what_is_spared_is_said_in_words(track, seconds, spared):
    found = asked(row("best", 0.7, "labelled", 16.0), row("other", 0.7, track, seconds))
    assert found.spared == spared
    assert (found.least is None) == (spared == "")


def test_where_the_best_is_better_beyond_chance_nothing_ties_and_the_step_is_real():
    found = asked(row("best", 0.9), row("next", 0.5), row("alike", 0.5))
    assert (found.tied, found.least) == ((), None)
    assert (found.n_neighbours, found.n_apart) == (2, 1)


def test_each_track_has_its_leader_in_the_order_of_what_it_asks_for():
    [board] = boards(made_up_board(backbones=("image-text",), n=100))
    leaders = answer(board).leaders
    assert [one.method.track for one in leaders] == ["weights", "unlabelled", "labelled"]
    for one in leaders:
        same = [r for r in board.ranked if r.method.track == one.method.track]
        assert one is same[0]


def test_a_board_without_ranks_answers_nothing():
    [board] = boards([made_up_record(n=20, method=made_up_method("experts"))])
    assert answer(board) is None
