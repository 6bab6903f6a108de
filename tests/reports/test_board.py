"""Boards rank what can be ranked, and say of the rest why not."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_records import (
    TASKS,
    made_up_board,
    made_up_failure,
    made_up_method,
    made_up_provenance,
    made_up_record,
)

from taskmark.console import PlainConsole
from taskmark.records.envelope import ExpertOrigin
from taskmark.records.packing import pack_bits
from taskmark.records.record import Storage
from taskmark.reports import terminal_table
from taskmark.reports.board import boards
from taskmark.reports.scores import ExpertBits, scores_of
from taskmark.statistics.intervals import seed_intervals


def only_board(records):
    [board] = boards(records)
    return board


def experts(**changes):
    return made_up_record(method=made_up_method("experts"), skill=1.0, **changes)


def test_there_is_a_board_for_each_backbone_and_set_of_tasks(records):
    assert [board.backbone for board in boards(records)] == ["image-text", "random"]
    fewer = made_up_record(tasks=TASKS[:2], n=200)
    assert [len(board.tasks) for board in boards([*records, fewer])] == [4, 4, 2]


def test_rows_are_sorted_and_every_role_stands_in_its_place(records):
    board = boards(records)[0]
    assert [row.normalised_accuracy for row in board.ranked] == sorted(
        (row.normalised_accuracy for row in board.ranked), reverse=True
    )
    assert {row.method.role for row in board.ranked} == {"competitor", "baseline"}
    assert {row.label for row in board.references} == {"pretrained", "experts", "weight_averaging"}
    assert all(row.standing is None for row in board.references + board.unranked)
    assert [(row.label, row.state) for row in board.unranked] == [("fragile", "failed")]
    assert "NaN" in board.unranked[0].reason


def test_a_failure_alone_makes_a_board_without_tasks():
    board = only_board([made_up_failure()])
    assert (board.tasks, board.ranked, len(board.unranked)) == ((), (), 1)


def test_one_record_shows_its_own_intervals():
    record = made_up_record(n=100)
    [row] = only_board([record, experts(n=100)]).ranked
    assert row.intervals.normalised_low == record.normalised_low
    assert [cell.low for cell in row.cells] == [result.low for result in record.tasks]


def test_several_seeds_are_averaged_and_resampled():
    records = [
        record
        for seed in range(3)
        for record in (made_up_record(n=100, expert_seed=seed), experts(n=100, expert_seed=seed))
    ]
    board = only_board(records)
    [row] = board.ranked
    assert board.seeds == (0, 1, 2)
    assert row.accuracy == pytest.approx(np.mean([r.accuracy for r in records[::2]]))
    assert row.standing.normalised_accuracy == pytest.approx(row.normalised_accuracy)
    assert row.intervals.accuracy_low < row.accuracy < row.intervals.accuracy_high


def test_method_seeds_are_averaged_within_an_expert_seed():
    one, two = (made_up_record(n=100, method_seed=s, skill=0.5 + 0.1 * s) for s in (0, 1))
    [row] = only_board([one, two, experts(n=100)]).ranked
    assert row.accuracy == pytest.approx((one.accuracy + two.accuracy) / 2)
    assert row.standing.normalised_accuracy == pytest.approx(row.normalised_accuracy)


def test_a_row_that_lacks_a_seed_is_incomplete_and_not_ranked():
    both = made_up_method("ties")
    records = [made_up_record(n=50, method=both, expert_seed=seed) for seed in (0, 1)]
    records += [
        made_up_record(n=50, method=made_up_method("dv_basi"), expert_seed=s) for s in (0, 1)
    ]
    board = only_board([*records, made_up_record(n=50)])
    [row] = board.unranked
    assert (row.label, row.state) == ("task_arithmetic", "incomplete")
    assert row.reason == "lacks expert seed 1"


def test_a_seed_that_one_row_alone_has_does_not_make_the_others_incomplete():
    records = [made_up_record(n=50, method=made_up_method(name)) for name in ("ties", "dv_basi")]
    board = only_board([*records, made_up_record(n=50, expert_seed=9), made_up_record(n=50)])
    assert board.seeds == (0,)
    assert len(board.ranked) == 3


def test_rows_of_one_name_are_told_apart_by_what_differs():
    records = [
        made_up_record(
            n=50, method=made_up_method("ties", hyperparameters={"density": d, "scope": "global"})
        )
        for d in (0.1, 0.2)
    ]
    assert {row.label for row in only_board(records).ranked} == {
        "ties[density=0.1]",
        "ties[density=0.2]",
    }


def test_equal_methods_share_a_rank():
    records = [made_up_record(n=50, method=made_up_method(name)) for name in ("one", "two")]
    assert [row.standing.rank for row in only_board(records).ranked] == [1, 1]


def test_experts_are_those_that_give_the_normalised_accuracy():
    record = made_up_record(n=100, recipe="tangent")
    standard, tangent = experts(n=100), experts(n=100, recipe="tangent")
    found = ExpertBits([standard, tangent]).of(record)
    assert {task: pack_bits(bits.astype(bool)) for task, bits in found.items()} == {
        result.task: result.bits for result in tangent.tasks
    }


def test_without_a_row_of_experts_their_accuracy_follows_from_the_record():
    record = made_up_record(n=100)
    normalisers = {result.task: result for result in experts(n=100).tasks}
    for task, values in ExpertBits([]).of(record).items():
        assert values.mean() == pytest.approx(normalisers[task].accuracy)


def test_each_seed_alone_shows_what_its_records_say():
    records = [
        record
        for seed in range(3)
        for record in (made_up_record(n=100, expert_seed=seed), experts(n=100, expert_seed=seed))
    ]
    board = only_board(records)
    assert list(board.by_seed) == [0, 1, 2]
    for seed, alone in board.by_seed.items():
        [row] = alone.ranked
        assert (alone.seeds, row.standing) == ((seed,), None)
        assert row.normalised_accuracy == pytest.approx(records[2 * seed].normalised_accuracy)
        assert row.intervals.accuracy_low == records[2 * seed].accuracy_low
    assert only_board(records[:2]).by_seed == {}


def test_a_cell_has_the_interval_that_its_own_resamples_give():
    record, normaliser = made_up_record(n=300), experts(n=300)
    [row] = only_board([record, normaliser]).ranked
    for cell, result in zip(row.cells, record.tasks, strict=True):
        scores = scores_of([record], ExpertBits([normaliser]), tasks=[result.task])
        spread = seed_intervals(scores)
        assert cell.normalised_low == pytest.approx(spread.normalised_low, abs=0.01)
        assert cell.normalised_high == pytest.approx(spread.normalised_high, abs=0.01)
        assert cell.normalised_accuracy == pytest.approx(result.normalised_accuracy)


def test_what_is_not_one_model_is_measured_but_never_ranked():
    storage = Storage(one_model=False, extra_bytes=8)
    apart = made_up_record(n=50, method=made_up_method("masks"), storage=storage)
    board = only_board([apart, made_up_record(n=50)])
    assert [row.label for row in board.ranked] == ["task_arithmetic"]
    assert [(row.label, row.standing) for row in board.apart] == [("masks", None)]
    assert board.apart[0].cells


def test_a_row_of_an_older_source_is_stale_within_its_suite_alone():
    old, new = made_up_method("ties"), made_up_method("ties", source_sha256="b" * 64)
    later = made_up_provenance(created_at="2026-02-02T00:00:00+00:00")
    records = [
        made_up_record(n=50, method=old),
        made_up_record(n=50, method=new, backbone="random", provenance=later),
    ]
    stale, current = boards(records)
    assert [(row.state, row.standing) for row in stale.unranked] == [("stale", None)]
    assert stale.unranked[0].cells
    assert [row.state for row in current.ranked] == ["ok"]
    suite = records[0].suite.model_copy(update={"version": "2.0", "sha256": "9" * 64})
    elsewhere = records[1].model_copy(update={"suite": suite})
    assert [board.unranked for board in boards([records[0], elsewhere])] == [(), ()]


def test_a_row_on_other_files_of_its_family_is_stale():
    first = ExpertOrigin(family="published", files=dict.fromkeys(TASKS, "1" * 64))
    second = ExpertOrigin(family="published", files={**first.files, "signs": "2" * 64})
    later = made_up_provenance(created_at="2026-02-02T00:00:00+00:00")
    records = [
        made_up_record(n=50, method=made_up_method("one"), experts=first),
        made_up_record(n=50, method=made_up_method("two"), experts=second, provenance=later),
    ]
    (board,) = boards(records)
    assert [row.label for row in board.ranked] == ["two"]
    (old,) = board.unranked
    assert (old.label, old.state) == ("one", "stale")
    assert "other experts of the family published than the newest record (signs)" in old.reason
    assert board.family == "published"


def test_a_row_on_other_remainders_of_its_family_is_stale():
    first = ExpertOrigin(family="published", files=dict.fromkeys(TASKS, "1" * 64))
    second = first.model_copy(update={"remainders": {"signs": "2" * 64}})
    later = made_up_provenance(created_at="2026-02-02T00:00:00+00:00")
    records = [
        made_up_record(n=50, method=made_up_method("one"), experts=first),
        made_up_record(n=50, method=made_up_method("two"), experts=second, provenance=later),
    ]
    (board,) = boards(records)
    assert [(row.label, row.state) for row in board.unranked] == [("one", "stale")]
    assert "(signs)" in board.unranked[0].reason


def test_a_row_on_other_weights_than_the_newest_is_stale():
    def made(day, weights, **changes):
        resolved = {"backbones.image-text": weights * 64, "backbones.random": day * 32}
        provenance = made_up_provenance(
            created_at=f"2026-02-{day}T00:00:00+00:00", resolved=resolved
        )
        return made_up_record(n=50, provenance=provenance, **changes)

    old = made("01", "1", method=made_up_method("one"))
    same = made("02", "2", method=made_up_method("two"))
    new = made("03", "2", method=made_up_method("three"))
    board = only_board([old, same, new])
    assert {row.label for row in board.ranked} == {"two", "three"}
    assert [(row.label, row.state) for row in board.unranked] == [("one", "stale")]
    reason = "stands on other weights of image-text (11111111) than the newest record (22222222)"
    assert board.unranked[0].reason == f"{reason}; run it again"


def test_the_order_of_the_records_does_not_matter(records):
    assert boards(records) == boards(records[::-1])


def test_the_terminal_shows_ranks_intervals_states_and_no_markup():
    records = [*made_up_board(backbones=("image-text",), n=50)]
    records.append(made_up_record(n=50, method=made_up_method("[red]odd[/red]")))
    console = PlainConsole(width=80, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(terminal_table(records))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    assert "[red]odd[/red]" in text
    assert "failed: ValueError" in text
    assert text.index("dv_basi") < text.index("task_arithmetic")
