"""The tables are tidy, complete, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import jsonschema
import pandas as pd
import pytest
from made_up_records import (
    made_up_disentanglement,
    made_up_failure,
    made_up_method,
    made_up_record,
)

from taskmark.reports import tables

PROMISED = {
    *("suite", "suite_version", "backbone", "recipe", "method", "track", "scale", "task"),
    *("n", "correct", "accuracy", "normalised_accuracy", "own_recipe", "low", "high", "state"),
    *("expert_seed", "method_seed", "record_id"),
}


def test_there_is_one_line_per_record_and_task_with_the_promised_columns():
    record = made_up_record(n=50)
    frame = tables.records_frame([record, made_up_record(n=50, expert_seed=1)], {})
    assert set(frame.columns) >= PROMISED
    assert len(frame) == 2 * len(record.tasks)
    first = frame.iloc[0]
    assert first["accuracy"] == record.tasks[0].n_correct / 50 == first["correct"] / first["n"]
    assert 0 <= first["low"] <= first["accuracy"] <= first["high"] <= 1


def test_a_failed_record_is_one_line_with_no_task():
    frame = tables.records_frame([made_up_failure()], {})
    assert len(frame) == 1
    assert frame["state"].tolist() == ["failed"]
    assert frame["task"].isna().all()
    assert frame["accuracy"].isna().all()


def test_no_records_give_a_table_of_headings():
    assert tables.csv_bytes(tables.records_frame([], {})).decode().startswith("suite,suite_version")
    assert list(tables.disentanglement_frame([]).columns) == list(tables.DISENTANGLEMENT_TYPES)


def test_csv_and_parquet_hold_the_same_numbers():
    frame = tables.records_frame([made_up_record(n=50), made_up_failure(n=50)], {})
    parquet = pd.read_parquet(io.BytesIO(tables.parquet_bytes(frame)))
    text = pd.read_csv(io.BytesIO(tables.csv_bytes(frame)))
    assert parquet["accuracy"].equals(frame["accuracy"])
    assert text["accuracy"].dropna().tolist() == frame["accuracy"].dropna().tolist()


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-1", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula(name):
    frame = tables.records_frame([made_up_record(n=10, method=made_up_method(name))], {})
    [_, line, *_] = csv.reader(io.StringIO(tables.csv_bytes(frame).decode(), newline=""))
    assert line[list(frame.columns).index("method")] == f"'{name}".replace("\r", " ")
    assert frame["method"].iloc[0] == name


def test_negative_numbers_stay_numbers():
    frame = tables.disentanglement_frame([made_up_disentanglement()])
    lines = list(csv.DictReader(io.StringIO(tables.csv_bytes(frame).decode())))
    assert lines[0]["alpha_1"] == "-1.5"


def test_a_grid_is_one_line_per_pair_and_point():
    record = made_up_disentanglement()
    frame = tables.disentanglement_frame([record])
    assert len(frame) == len(record.pairs) * len(record.alphas) ** 2
    columns = ["suite", "backbone", "recipe", "task_1", "task_2", "alpha_1", "alpha_2", "xi"]
    assert list(frame.columns)[:8] == columns
    pair = record.pairs[1]
    line = frame[
        (frame["task_1"] == pair.task_1)
        & (frame["alpha_1"] == record.alphas[2])
        & (frame["alpha_2"] == record.alphas[5])
    ]
    assert line["xi"].tolist() == [pair.xi[2][5]]


def test_records_follow_the_published_schema():
    schema = json.loads(tables.schema_bytes())
    for record in (made_up_record(n=10), made_up_failure(n=10)):
        jsonschema.validate(json.loads(record.model_dump_json()), schema)
