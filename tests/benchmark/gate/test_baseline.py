"""Baselines: written from records, read back whole, refused where they are not what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up_records import (
    made_up_board,
    made_up_failure,
    made_up_method,
    made_up_provenance,
    made_up_record,
)

from taskmark.errors import TaskmarkError
from taskmark.gate.baseline import (
    baseline_of,
    baseline_rows,
    bits_path,
    check_same_suite,
    read_baseline,
    write_baseline,
)
from taskmark.gate.compare import compare, rows_of
from taskmark.suite.protocol import Gate


@pytest.fixture(scope="module")
def records():
    board = made_up_board(backbones=("random", "supervised"), n=100)
    return [record for record in board if record.state == "ok"]


@pytest.fixture
def path(records, tmp_path):
    made = tmp_path / "mini-1.0.json"
    write_baseline(made, *baseline_of(records))
    return made


def _refused(words: str, call, *arguments):
    with pytest.raises(TaskmarkError, match=words) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def test_what_is_read_is_what_was_written(records, path):
    baseline = read_baseline(path)
    rows, expected = baseline_rows(path, baseline), rows_of(records)
    assert set(rows) == set(expected)
    for key, row in rows.items():
        assert row.scale == expected[key].scale
        assert set(row.correct) == set(expected[key].correct)
        for task, bits in row.correct.items():
            np.testing.assert_array_equal(bits, expected[key].correct[task])
    strict = Gate(epsilon=0, flips=0)
    assert compare(rows, expected, lambda _suite: strict, guards_all=True).passed


def test_counts_stand_beside_the_bits(records, path):
    baseline = read_baseline(path)
    rows = baseline_rows(path, baseline)
    for key, row in zip(baseline.identities(), baseline.rows, strict=True):
        assert row.correct == {t: int(bits.sum()) for t, bits in rows[key].correct.items()}
    assert baseline.images == {task.task: 100 for task in records[0].tasks}


def test_a_row_has_a_line_so_that_a_review_shows_what_changed(records, path):
    text = path.read_text("utf-8")
    assert len([line for line in text.splitlines() if '"method":' in line]) == len(records)
    assert len(bits_path(path).read_text("utf-8").splitlines()) == len(records) + 2


def test_the_files_do_not_depend_on_the_order_of_the_records(records, path, tmp_path):
    other = tmp_path / "other" / "mini-1.0.json"
    write_baseline(other, *baseline_of(records[::-1]))
    assert other.read_bytes() == path.read_bytes()
    assert bits_path(other).read_bytes() == bits_path(path).read_bytes()


def test_a_truncated_file_is_no_baseline(path):
    path.write_bytes(path.read_bytes()[:-40])
    _refused("is no valid baseline", read_baseline, path)


def test_a_count_changed_by_hand_is_found(path):
    content = json.loads(path.read_text("utf-8"))
    content["rows"][0]["correct"]["digits"] += 1
    path.write_text(json.dumps(content), "utf-8")
    _refused("was changed after it was made", read_baseline, path)


@pytest.mark.parametrize("change", [lambda b: b[:-40], lambda b: b.replace(b"A", b"B", 1)])
def test_bits_that_were_cut_or_changed_are_found(path, change):
    bits = bits_path(path)
    bits.write_bytes(change(bits.read_bytes()))
    baseline = read_baseline(path)
    _refused("do not belong to the baseline", baseline_rows, path, baseline)


@pytest.mark.parametrize("which", ["counts", "bits"])
def test_a_file_that_is_not_there_is_named(path, which):
    baseline = read_baseline(path)
    if which == "counts":
        path.unlink()
        _refused("cannot be read .No such file", read_baseline, path)
    else:
        bits_path(path).unlink()
        _refused("bits.json' cannot be read .No such file", baseline_rows, path, baseline)


def test_a_row_that_is_there_twice_is_refused(records, tmp_path):
    path = tmp_path / "mini-1.0.json"
    write_baseline(path, *baseline_of([records[0], records[0]]))
    _refused("2 times", read_baseline, path)


@pytest.mark.parametrize("part", ["version", "sha256"])
def test_records_of_another_suite_are_refused(records, path, part):
    suite = records[0].suite.model_copy(update={part: "9" * 64})
    other = records[0].model_copy(update={"suite": suite})
    baseline = read_baseline(path)
    check_same_suite(path, baseline, records)
    _refused("run the baseline's suite", check_same_suite, path, baseline, [other])


def test_nothing_makes_no_baseline():
    _refused("There are no records to accept", baseline_of, [])


def test_a_failed_row_makes_no_baseline(records):
    _refused(
        "fragile is failed .ValueError: the merged vector holds NaN",
        baseline_of,
        [*records, made_up_failure()],
    )


def test_a_row_of_a_dirty_tree_makes_no_baseline(records):
    dirty = made_up_record(method=made_up_method("mine"), provenance=made_up_provenance(dirty=True))
    _refused("changes that are not committed", baseline_of, [*records, dirty])


@pytest.mark.parametrize("changes", [{"n": 50}, {"tasks": ("digits",)}])
def test_rows_on_other_images_make_no_baseline_together(records, changes):
    other = made_up_record(method=made_up_method("mine"), **changes)
    _refused("a baseline is of one suite", baseline_of, [*records, other])
