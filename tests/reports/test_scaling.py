"""Boards with fewer tasks are steps of a ladder; boards of other suites are not."""

from __future__ import annotations

from dataclasses import replace

from made_up_records import SUITE, TASKS, made_up_method, made_up_record

from taskmark.records.envelope import Experts
from taskmark.reports import figures
from taskmark.reports.board import boards
from taskmark.reports.scaling import ladder


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
    experts = Experts(family="published", files=dict.fromkeys(TASKS, "1" * 64))
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
