"""The tables of negation and localisation say what their records say."""

from __future__ import annotations

import csv
import io

from made_up_records import made_up_localisation, made_up_method, made_up_negation

from taskmark.reports import metric_tables, tables


def test_a_negated_task_and_each_of_its_controls_have_a_line():
    plain = made_up_negation()
    of_method = made_up_negation(method=made_up_method("ties"))
    frame = metric_tables.negation_frame([plain, of_method])
    assert len(frame) == 2 * sum(1 + len(task.controls) for task in plain.tasks)
    targets = frame[frame["part"] == "target"]
    assert (targets["task"] == targets["negated"]).all()
    controls = frame[frame["part"] == "control"]
    assert (controls["task"] != controls["negated"]).all()
    assert frame["method"].isna().sum() == len(frame) / 2
    assert set(frame["hyperparameters"].dropna()) == {'{"density": 0.2}'}
    first = frame.iloc[0]
    assert first["accuracy"] == first["correct"] / first["n"] == plain.tasks[0].target.accuracy
    assert first["alpha"] == 0.4
    assert first["pretrained_accuracy"] == 0.6


def test_a_pair_of_tasks_has_a_line_with_all_its_numbers():
    record = made_up_localisation()
    line = metric_tables.localisation_frame([record]).iloc[0]
    found = record.pairs[0].localisation
    assert (line["task_1"], line["task_2"]) == (record.pairs[0].task_1, record.pairs[0].task_2)
    assert line["localisation"] == found.value
    assert line["null_high"] == found.null_high
    assert line["image_error"] == found.image_error
    assert not metric_tables.localisation_frame([record]).isna().any(axis=None)


def test_no_records_give_headings_and_no_cell_is_a_formula():
    empty = tables.csv_bytes(metric_tables.negation_frame([]))
    assert empty.decode().strip() == ",".join(metric_tables.NEGATION_TYPES)
    odd = made_up_localisation(backbone="=cmd")
    text = tables.csv_bytes(metric_tables.localisation_frame([odd])).decode()
    assert next(csv.DictReader(io.StringIO(text)))["backbone"] == "'=cmd"
