"""The Pareto front is what nothing cheaper equals."""

from __future__ import annotations

from made_up_records import made_up_method, made_up_record

from taskmark.reports.board import boards
from taskmark.reports.frontier import points


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
    found = points(boards(records)[0])
    assert [point.row.label for point in found] == ["cheap", "worse", "middle", "dear", "dearest"]
    front = {point.row.label for point in found if point.on_front}
    assert front >= {"cheap", "middle", "dear"}
    assert "worse" not in front


def test_rows_without_a_measured_time_are_left_out():
    record = made_up_record(n=20).model_copy(update={"measured": None})
    assert points(boards([record])[0]) == []
