"""Each edition of a suite has a summary of its own, which a file holds without rounding."""

from __future__ import annotations

from made_up_records import SUITE, TASKS, made_up_method, made_up_record
from planted import maps, rows

from taskmark.reports.board import boards
from taskmark.reports.summaries import Summaries, json_bytes, summaries

OTHER = SUITE.model_copy(update={"sha256": "6" * 64})


def test_what_is_written_is_read_back():
    records = rows({"ties": 0.7, "task_arithmetic": 0.5}, n=50)
    found = summaries(boards(records), maps({("supervised", "standard"): 0.5}))
    assert Summaries.model_validate_json(json_bytes(found)) == found


def test_editions_are_not_mixed():
    here = rows({"ties": 0.7}, n=50)
    there = made_up_record(
        method=made_up_method("weight_averaging"), backbone="supervised", n=50, suite=OTHER
    )
    control = maps({("random", "standard"): 0.9})[0]
    elsewhere = maps({("supervised", "standard"): 0.5})[0].model_copy(update={"suite": OTHER})
    found = summaries(boards([*here, there]), [control, elsewhere])
    assert [summary.suite for summary in found.summaries] == [SUITE, OTHER]
    for summary in found.summaries:
        assert {finding.verdict for finding in summary.findings} == {"not measured"}


def test_of_a_backbone_with_several_sets_of_tasks_the_largest_counts():
    shared = {"backbone": "supervised", "n": 50, "skill": 0.9}
    fewer = made_up_record(method=made_up_method("ties"), tasks=TASKS[:2], **shared)
    records = [*rows({"task_arithmetic": 0.5, "dv_basi": 0.7}, n=50), fewer]
    [summary] = summaries(boards(records), []).summaries
    assert summary.power.n_pairs == 1


def test_no_board_has_no_summary():
    assert summaries([], maps({("supervised", "standard"): 0.5})).summaries == ()


def test_the_order_of_the_records_does_not_matter(records, maps):
    assert summaries(boards(records[::-1]), maps[::-1]) == summaries(boards(records), maps)
