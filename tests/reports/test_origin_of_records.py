"""Where a record came from, and the command that makes it again."""

from __future__ import annotations

import shlex

import pytest
import typer
from made_up_records import made_up_method, made_up_provenance, made_up_record

from taskmark import cli
from taskmark.records.suite_facts import SuiteFacts
from taskmark.reports import record_origin
from taskmark.suite.suite_file import load


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
    assert words in record_origin.command(made_up_record(n=10, **changes))


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.0+digits+signs", "--task digits --task signs"),
        ("1.0+digits+racing+experts.a-1.0", "--task digits --racing --experts FOLDER"),
        ("1.0+unresolved.1a2b3c4d", "--backbone"),
    ],
)
def test_the_command_says_what_was_changed_of_the_suite(version, words):
    suite = SuiteFacts(name="mini", version=version, sha256="5" * 64)
    command = record_origin.command(made_up_record(n=10, suite=suite))
    assert f"--suite mini@1.0 {words}" in command


@pytest.mark.parametrize(
    ("suite", "version", "task"),
    [
        ("mini", "1.0+signs+land", ["signs", "land"]),
        ("mini", "1.0+land+racing+experts.a-1.0", ["land"]),
        ("clip-8", "1.0+unresolved.1a2b3c4d", []),
        ("clip-8", "1.0+mnist+svhn+unresolved.1a2b3c4d+experts.b", ["mnist", "svhn"]),
    ],
)
def test_the_command_is_one_that_can_be_typed_and_names_what_there_is(suite, version, task):
    provenance_ = made_up_provenance(
        notes=("a batch was cut", "Experts accepted (it (really) is) although: signs is bad.")
    )
    facts = SuiteFacts(name=suite, version=version, sha256="5" * 64)
    record = made_up_record(n=10, provenance=provenance_, method_seed=2, suite=facts)
    words = shlex.split(record_origin.command(record))
    given = parsed(words)
    assert list(given["tasks"] or ()) == task
    assert load(given["suite"]).only(tuple(task)).variant.tasks == facts.variant.tasks
    assert given["accept_experts"] == "it (really) is"
    assert list(given["seeds"]) == [2]


def parsed(words):
    """What the command line makes of a command, less the program's name."""
    command = typer.main.get_command(cli.app).commands[words[1]]
    return command.make_context(words[1], words[2:]).params


def test_a_record_of_a_paper_is_made_again_by_reproducing_the_paper():
    facts = SuiteFacts(
        name="clip-8", version="1.0+ties+unresolved.1a2b3c4d+experts.a", sha256="5" * 64
    )
    record = made_up_record(n=10, backbone="clip-b-32-openai", suite=facts)
    words = shlex.split(record_origin.command(record))
    given = parsed(words)
    assert (words[1], list(given["names"]), given["suite"]) == ("reproduce", ["ties"], "clip-8@1.0")
    assert list(given["backbones"]) == ["clip-b-32-openai"]
    assert str(given["experts"]) == "FOLDER"


def test_a_plug_in_shows_its_own_commit():
    method = made_up_method("mine", origin="package", commit="f" * 40, dirty=True)
    text = record_origin.code(made_up_record(n=10, method=method))
    assert text == "0123456789ab; method ffffffffffff, with uncommitted changes"
