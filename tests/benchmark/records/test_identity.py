"""What makes two records the same row, also where a method has gained a hyper-parameter."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from made_up_records import (
    TASKS,
    made_up_method,
    made_up_negation,
    made_up_provenance,
    made_up_record,
)
from pydantic import BaseModel

from taskmark.contract.method import Method
from taskmark.gate.baseline import baseline_of, baseline_rows, write_baseline
from taskmark.gate.compare import compare, rows_of
from taskmark.plugins.hyperparameters import hyperparameters_of as fields_of
from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.identity import (
    collect_defaults,
    hyperparameters_for_identity,
    identify_row,
    keep_newest,
    read_defaults,
    settings_for_identity,
)
from taskmark.records.record_files import read_kind, read_records
from taskmark.records.suite_facts import SuiteFacts, Variant
from taskmark.reports.board import boards
from taskmark.suite.protocol import Gate

ROOT = Path(__file__).parents[3]


class Before(Method):
    """A method."""

    name = "sample"
    density: float = 0.2


class After(Before):
    """The same method with another hyper-parameter."""

    rule: Literal["mean", "sum"] = "sum"


def record_of(method, *, when="2026-01-01", **changes):
    """A record as a run writes it, or as one did before defaults were written."""
    facts = made_up_method(
        "sample",
        hyperparameters=method.hyperparameters(),
        defaults=read_defaults(fields_of(type(method))),
    )
    provenance = made_up_provenance(created_at=f"{when}T00:00:00+00:00")
    return made_up_record(n=20, method=facts, provenance=provenance, **changes)


def without_defaults(record):
    method = record.method.model_copy(update={"defaults": {}})
    return record.model_copy(update={"method": method}).with_record_id()


def ids(records):
    return {record.record_id for record in records}


OLD = record_of(Before())
EARLY = without_defaults(OLD)
NEW = record_of(After(), when="2026-02-01")
OTHER = record_of(After(rule="mean"), when="2026-03-01")


@pytest.mark.parametrize("old", [OLD, EARLY])
def test_a_row_stays_the_same_when_its_method_gains_a_hyperparameter(old):
    assert keep_newest([old, NEW]) == [NEW]
    assert ids(keep_newest([old, NEW, OTHER])) == ids([NEW, OTHER])
    assert ids(keep_newest([old, OTHER])) == ids([old, OTHER])


@pytest.mark.parametrize("old", [OLD, EARLY])
def test_a_board_has_one_row_for_both_and_names_the_other_by_the_new_hyperparameter(old):
    second = record_of(After(), when="2026-02-01", expert_seed=1)
    (board,) = boards(keep_newest([old, second]))
    (row,) = board.rows
    assert (row.label, len(row.records), board.seeds) == ("sample", 2, (0, 1))
    (board,) = boards(keep_newest([old, OTHER]))
    assert {row.label for row in board.rows} == {'sample[rule="sum"]', 'sample[rule="mean"]'}


@pytest.mark.parametrize("old", [OLD, EARLY])
@pytest.mark.parametrize("baseline", [False, True])
def test_the_gate_pairs_a_row_with_the_one_from_before_its_method_gained_a_hyperparameter(
    old, baseline, tmp_path
):
    before = rows_of([old])
    if baseline:
        path = tmp_path / "mini-1.0.json"
        made, bits = baseline_of([old])
        write_baseline(path, made, bits)
        before = baseline_rows(path, made)
    same = compare(before, rows_of([NEW]), lambda _: Gate(), guards_all=True)
    assert same.passed
    assert len(same.changes) == len(TASKS)
    assert compare(rows_of([NEW]), before, lambda _: Gate()).passed
    other = compare(before, rows_of([OTHER]), lambda _: Gate(), guards_all=True)
    assert (len(other.missing), len(other.unguarded), other.changes) == (1, 1, ())


def test_a_negated_method_stays_the_same_when_it_gains_a_hyperparameter():
    old, new, other = (
        made_up_negation(method=record.method, provenance=record.provenance)
        for record in (EARLY, NEW, OTHER)
    )
    assert keep_newest([old, new]) == [new]
    assert ids(keep_newest([old, new, other])) == ids([new, other])


def test_the_default_that_a_hyperparameter_came_with_counts():
    class Later(After):
        rule: Literal["mean", "sum"] = "mean"

    later = record_of(Later(), when="2026-04-01")
    assert collect_defaults([later, NEW])["sample"]["rule"] == "sum"
    assert ids(keep_newest([OLD, NEW, later])) == ids([NEW, later])


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "random"},
        {"recipe": "tangent"},
        {"expert_seed": 1},
        {"method_seed": 1},
        {"method": made_up_method("another")},
        {"method": made_up_method(hyperparameters={"density": 0.1})},
        *(
            {"suite": SuiteFacts(name="mini", version="1.0", sha256="5" * 64, variant=variant)}
            for variant in (
                Variant(racing=True),
                Variant(tasks=("digits",)),
                Variant(experts="theirs"),
                Variant(paper="mine.toml"),
                Variant(unresolved="1a2b3c4d"),
            )
        ),
    ],
)
def test_whatever_else_differs_makes_another_row(changes):
    assert identify_row(made_up_record(n=20, **changes)) != identify_row(made_up_record(n=20))


def test_what_a_run_measures_makes_no_other_row():
    first, second = made_up_record(n=20), made_up_record(n=30, skill=0.9)
    assert identify_row(first) == identify_row(second)


def test_every_record_of_the_example_is_a_row_of_its_own_and_proves_itself():
    out = ROOT / "examples" / "mini-1.0"
    records, maps = read_records(out), read_kind(out, DisentanglementRecord)
    for found, kind in ((records, "records"), (maps, "disentanglement")):
        assert len(found) == len(list((out / kind).glob("*.json"))) > 0
        assert len({identify_row(record) for record in found}) == len(found)


def test_a_key_is_the_same_when_a_method_gains_a_hyperparameter():
    methods = (Before(), After(), After(rule="mean"), After(density=0.1))
    keys = [hyperparameters_for_identity(fields_of(type(m)), m.hyperparameters()) for m in methods]
    assert keys == [{}, {}, {"rule": "mean"}, {"density": 0.1}]


def test_settings_are_those_that_are_not_at_their_default():
    class Settings(BaseModel):
        n_trials: int
        gate: Gate = Gate()

    assert settings_for_identity(Settings(n_trials=3)) == {"n_trials": 3}
    assert settings_for_identity(Settings(n_trials=3, gate=Gate(flips=1))) == {
        "n_trials": 3,
        "gate": {"flips": 1},
    }
