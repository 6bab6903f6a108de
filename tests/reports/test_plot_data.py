"""What the figures show: prices and the front of the best, and scores by the number of tasks."""

from __future__ import annotations

from dataclasses import replace

from made_up_records import SUITE, TASKS, made_up_method, made_up_record

from taskmark.records.envelope import ExpertOrigin
from taskmark.reports import figures
from taskmark.reports.board import boards
from taskmark.reports.plot_data import ladder, priced_rows


def priced(name, skill, seconds):
    record = made_up_record(n=200, method=made_up_method(name), skill=skill)
    measured = record.measured.model_copy(update={"edit_seconds": seconds})
    return record.model_copy(update={"measured": measured})


def test_who_is_dearer_and_no_better_is_not_on_the_front():
    records = [
        priced("cheap", 0.4, 1.0),
        priced("dear", 0.8, 9.0),
        priced("worse", 0.3, 5.0),
        priced("dearest", 0.8, 10.0),
        priced("middle", 0.6, 6.0),
    ]
    found = priced_rows(boards(records)[0])
    assert [point.row.label for point in found] == ["cheap", "worse", "middle", "dear", "dearest"]
    front = {point.row.label for point in found if point.on_front}
    assert front >= {"cheap", "middle", "dear"}
    assert "worse" not in front


def test_rows_without_a_measured_time_are_left_out():
    record = made_up_record(n=20).model_copy(update={"measured": None})
    assert priced_rows(boards([record])[0]) == []


def board(suite, tasks, *, backbone="image-text", names=("one", "two")):
    facts = SUITE.model_copy(update={"name": suite, "sha256": suite[-1] * 64})
    records = [
        made_up_record(
            n=30, suite=facts, tasks=tasks, backbone=backbone, method=made_up_method(name)
        )
        for name in names
    ]
    return boards(records)[0]


def test_steps_are_boards_of_the_backbone_whose_tasks_contain_each_other():
    top = board("mini", TASKS)
    two = board("two-2", TASKS[:2], names=("one",))
    others = [
        board("norms-n", TASKS),
        board("else-e", TASKS[:3], backbone="random"),
        two,
        board("other-o", (TASKS[3],)),
        top,
    ]
    found = ladder(top, others)
    assert [len(step.tasks) for step in found.boards] == [2, 4]
    assert found.boards[0] is two
    assert {key: sorted(rows) for key, rows in found.rows.items()} == {"one · standard": [2, 4]}


def test_boards_on_experts_of_another_family_are_no_steps():
    experts = ExpertOrigin(family="published", files=dict.fromkeys(TASKS, "1" * 64))
    foreign = replace(board("two-2", TASKS[:2]), experts=experts)
    assert ladder(board("mini", TASKS), [foreign]) is None
    assert ladder(replace(board("mini", TASKS), experts=experts), [foreign]) is not None


def test_a_board_alone_is_no_ladder():
    top = board("mini", TASKS)
    assert ladder(top, [top, board("norms-n", TASKS)]) is None


def test_a_ladder_can_be_drawn():
    found = ladder(board("mini", TASKS), [board("two-2", TASKS[:2])])
    places = {key: place for place, key in enumerate(found.rows)}
    drawn = figures.scaling_curves(found, places)
    assert "number of tasks" in drawn
    assert drawn.count('data-series="1"') == 2
