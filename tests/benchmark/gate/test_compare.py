"""Comparing two sets of rows, on records made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_records import made_up_board, made_up_failure, made_up_method, made_up_record

from taskmark.errors import TaskmarkError
from taskmark.gate.compare import RowResult, compare, rows_of
from taskmark.gate.comparison_formats import name_rows
from taskmark.records.identity import identify_row
from taskmark.records.packing import pack_bits, unpack_bits
from taskmark.suite.protocol import Gate

LOOSE = Gate(epsilon=0.5, flips=0)  # leaves the judgement to the test


@pytest.fixture(scope="module")
def records():
    board = made_up_board(backbones=("random",), n=200)
    return [record for record in board if record.state == "ok"][:4]


def held(before, after, tolerance=LOOSE, **options):
    return compare(rows_of(before), rows_of(after), lambda _suite: tolerance, **options)


def _with_bits(record, place: int, bits):
    tasks = list(record.tasks)
    tasks[place] = tasks[place].model_copy(
        update={
            "n": len(bits),
            "n_correct": int(bits.sum()),
            "accuracy": float(bits.mean()),
            "bits": pack_bits(bits),
        }
    )
    return record.model_copy(update={"tasks": tuple(tasks)})


def _turned(record, place: int, *, lost: int, gained: int):
    task = record.tasks[place]
    bits = unpack_bits(task.bits, task.n).copy()
    right, wrong = np.flatnonzero(bits), np.flatnonzero(~bits)
    bits[right[:lost]] = False
    bits[wrong[:gained]] = True
    return _with_bits(record, place, bits)


def _failed(record):
    return record.model_copy(update={"state": "failed", "tasks": (), "reason": "No."})


def test_identical_sides_pass(records):
    result = held(records, records, Gate(epsilon=0, flips=0))
    assert result.passed
    assert len(result.changes) == sum(len(record.tasks) for record in records)
    assert {(c.lost, c.gained, c.p_value) for c in result.changes} == {(0, 0, 1.0)}
    assert {c.verdict for c in result.changes} == {"same"}


def test_lost_and_gained_images_are_counted_apart(records):
    after = [_turned(records[0], 1, lost=3, gained=2), *records[1:]]
    (change,) = [c for c in held(records, after).changes if c.lost or c.gained]
    assert (change.lost, change.gained, change.n) == (3, 2, 200)
    assert change.row == identify_row(records[0])
    assert change.task == records[0].tasks[1].task
    assert change.before == records[0].tasks[1].n_correct
    assert change.after - change.before == -1
    assert change.verdict == "within"


def test_the_test_is_mcnemars_exact_one_adjusted_by_holm_over_all_changes(records):
    after = [_turned(records[0], 0, lost=12, gained=0), *records[1:]]
    result = held(records, after)
    (change,) = [c for c in result.changes if c.lost]
    assert change.p_value == pytest.approx(2 * 0.5**12 * len(result.changes))
    assert change.grounds == ("chance",)
    assert not result.passed
    nearly = held(records, [_turned(records[0], 0, lost=6, gained=0), *records[1:]])
    (change,) = [c for c in nearly.changes if c.lost]
    # Alone, 6 to 0 would reject at 5 %; among many it does not.
    assert 2 * 0.5**6 < 0.05 < change.p_value
    assert nearly.passed


@pytest.mark.parametrize(("lost", "gained"), [(0, 20), (20, 0)])
def test_both_directions_are_moves(records, lost, gained):
    after = [_turned(records[0], 0, lost=lost, gained=gained), *records[1:]]
    (change,) = held(records, after).changed_tasks
    assert (change.lost, change.gained) == (lost, gained)


@pytest.mark.parametrize(("lost", "verdict"), [(2, "within"), (3, "moved")])
def test_an_accuracy_may_move_by_epsilon_and_no_further(records, lost, verdict):
    after = [_turned(records[0], 0, lost=lost, gained=0), *records[1:]]
    result = held(records, after, Gate(epsilon=0.01, flips=1))  # two images of 200
    (change,) = [c for c in result.changes if c.lost]
    assert change.verdict == verdict
    assert change.grounds == (("epsilon",) if verdict == "moved" else ())
    assert result.passed == (verdict == "within")


@pytest.mark.parametrize(("lost", "verdict"), [(4, "absorbed"), (5, "moved")])
def test_the_budget_of_flips_absorbs_what_would_be_a_move(records, lost, verdict):
    after = [_turned(records[0], 0, lost=lost, gained=0), *records[1:]]
    result = held(records, after, Gate(epsilon=0, flips=4))
    (change,) = [c for c in result.changes if c.lost]
    assert change.verdict == verdict


@settings(max_examples=5)
@given(lost=st.integers(0, 30), gained=st.integers(0, 30), flips=st.integers(0, 70))
def test_what_a_larger_tolerance_fails_a_smaller_one_fails_too(records, lost, gained, flips):
    after = [_turned(records[0], 0, lost=lost, gained=gained)]
    moved = [
        bool(held(records[:1], after, Gate(epsilon=epsilon, flips=budget)).changed_tasks)
        for epsilon, budget in ((0, 0), (0, flips), (0.05, flips))
    ]
    assert moved == sorted(moved, reverse=True)
    assert moved[1] <= (lost + gained > flips)


def test_rows_that_vanished_appeared_or_broke_are_named(records):
    result = held(records[:2], [_failed(records[1]), records[2], made_up_failure()])
    assert result.missing == (identify_row(records[0]),)
    assert result.broken == {identify_row(records[1]): "No."}
    assert result.new == (identify_row(records[2]),)
    assert list(result.failed.values()) == ["ValueError: the merged vector holds NaN"]
    assert result.changes == ()
    assert not result.passed


@pytest.mark.parametrize("part", ["missing", "broken"])
def test_a_row_that_vanished_or_broke_fails_by_itself(records, part):
    after = {"missing": records[1:], "broken": [_failed(records[0]), *records[1:]]}
    assert not held(records, after[part]).passed


def test_new_rows_alone_are_no_failure(records):
    result = held(records[:1], [*records[:2], made_up_failure()])
    assert result.new == (identify_row(records[1]),)
    assert result.passed


def test_a_baseline_must_hold_the_rows_of_built_in_methods(records):
    plugin = made_up_record(method=made_up_method("mine", origin="file"))
    result = held(records[:1], [*records[:2], plugin], guards_all=True)
    assert result.unguarded == (identify_row(records[1]),)
    assert result.new == (identify_row(records[1]), identify_row(plugin))
    assert not result.passed
    assert held(records[:1], [records[0], plugin], guards_all=True).passed


def test_a_row_that_works_now_is_new_and_no_failure(records):
    result = held([_failed(records[0])], records[:1])
    assert result.new == (identify_row(records[0]),)
    assert result.passed


def test_nothing_compares_with_nothing():
    assert held([], []).passed


def test_each_suite_has_its_own_tolerance(records):
    other = [
        r.model_copy(update={"suite": r.suite.model_copy(update={"version": "2.0"})})
        for r in records
    ]
    before, after = (
        [records[0], other[0]],
        [_turned(r, 0, lost=5, gained=0) for r in (records[0], other[0])],
    )
    gates = {"mini@1.0": Gate(epsilon=0, flips=0), "mini@2.0": Gate(epsilon=0, flips=5)}
    result = compare(rows_of(before), rows_of(after), gates.__getitem__)
    assert [c.row.suite for c in result.changed_tasks] == ["mini@1.0"]
    assert result.tolerances == gates


@pytest.mark.parametrize("case", ["other images", "another task"])
def test_rows_on_other_images_are_refused_in_a_sentence(records, case):
    if case == "other images":
        after = _with_bits(records[0], 0, np.ones(150, dtype=bool))
    else:
        after = records[0].model_copy(update={"tasks": records[0].tasks[1:]})
    with pytest.raises(TaskmarkError, match="has other images of digits on the two") as caught:
        held(records[:1], [after])
    assert "\n" not in str(caught.value)


def test_two_records_of_one_row_are_refused(records):
    with pytest.raises(TaskmarkError, match="Two records are of one row, random standard"):
        rows_of([records[0], _failed(records[0])])


def test_a_row_has_the_bits_of_its_record(records):
    (row,) = rows_of(records[:1]).values()
    assert isinstance(row, RowResult)
    assert {t: int(c.sum()) for t, c in row.correct.items()} == {
        t.task: t.n_correct for t in records[0].tasks
    }


def test_rows_are_named_by_what_tells_them_apart():
    keys = [
        identify_row(made_up_record(method=made_up_method("ties", hyperparameters={"density": d})))
        for d in (0.1, 0.2)
    ]
    keys.append(identify_row(made_up_record(expert_seed=3)))
    assert list(name_rows(keys).values()) == [
        'image-text standard ties (hyperparameters {"density": 0.1})',
        'image-text standard ties (hyperparameters {"density": 0.2})',
        "image-text standard task_arithmetic",
    ]
