"""Where a record came from, and the command that makes it again."""

from __future__ import annotations

import pytest
from made_up_records import made_up_method, made_up_record

from taskmark.reports import provenance


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "--method task_arithmetic --seed 0"),
        ({"expert_seed": 3, "method_seed": 3}, "--seed 3"),
        ({"method": made_up_method("ties")}, "--method 'ties[density=0.2]'"),
        ({"method": made_up_method("odd", hyperparameters={"x": [1, 2]})}, "--method odd --seed"),
        ({"method": made_up_method("mine", origin="file")}, "--plugin FILE"),
        ({"backbone": "a b"}, "--backbone 'a b'"),
    ],
)
def test_the_command_names_what_makes_the_record(changes, words):
    assert words in provenance.command(made_up_record(n=10, **changes))


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.0+digits+signs", "--task digits --task signs"),
        ("1.0+digits+racing+experts.a-1.0", "--task digits --racing --experts FOLDER"),
        ("1.0+unresolved.1a2b3c4d", "--backbone"),
    ],
)
def test_the_command_says_what_was_changed_of_the_suite(version, words):
    record = made_up_record(n=10)
    suite = record.suite.model_copy(update={"version": version})
    command = provenance.command(record.model_copy(update={"suite": suite}))
    assert f"--suite mini@1.0 {words}" in command


def test_a_plug_in_shows_its_own_commit():
    method = made_up_method("mine", origin="package", commit="f" * 40, dirty=True)
    text = provenance.code(made_up_record(n=10, method=method))
    assert text == "0123456789ab; method ffffffffffff, with uncommitted changes"
