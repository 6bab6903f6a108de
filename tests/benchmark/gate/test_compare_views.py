"""What a comparison looks like: every form says the same."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from taskmark.console import PlainConsole
from taskmark.gate import comparison_formats
from taskmark.gate.compare import RowResult, compare
from taskmark.records.identity import RowIdentity
from taskmark.suite.protocol import Gate


def _row(method: str) -> RowIdentity:
    return RowIdentity("gate@1.0", "image_text", "standard", method, "{}", 0, 0)


def _bits(right: int, n: int = 100) -> RowResult:
    bits = {"signs": np.arange(n) < right, "land": np.arange(n) < 50}
    return RowResult(ok=True, reason="", built_in=True, scale=1.0, correct=bits)


FAILED = RowResult(ok=False, reason="a < b | c", built_in=True, scale=None, correct={})


@pytest.fixture
def comparison():
    before = {_row("ties"): _bits(60), _row("gone"): _bits(1), _row("broken"): _bits(1)}
    after = {_row("ties"): _bits(80), _row("broken"): FAILED, _row("fresh"): _bits(1)}
    gate = Gate(epsilon=0.01, flips=2)
    return compare(before, after, lambda _suite: gate, guards_all=True)


@pytest.fixture
def quiet():
    rows = {_row("ties"): _bits(60)}
    return compare(rows, rows, lambda _suite: Gate())


def test_the_sentences_name_tolerance_and_rows(comparison):
    assert comparison_formats.sentences(comparison) == [
        "gate@1.0 tolerates 1 points of accuracy and 2 flipped images, of one row on one task.",
        "missing: image_text standard gone",
        "not ok any more: image_text standard broken: a < b | c",
        "new: image_text standard fresh",
        "1 rows of built-in methods are not in the baseline; put them there by --accept.",
        (
            "2 accuracies compared: 1 moved, 0 within, 0 absorbed, 1 same; 1 rows missing, "
            "1 broken, 1 new."
        ),
    ]


def test_the_table_shows_what_flipped_and_nothing_else(comparison, quiet):
    console = PlainConsole(width=200, record=True, quiet=True)
    with console.capture() as _:
        console.print(comparison_formats.table(comparison))
    drawn = comparison_formats.table(comparison)
    assert drawn is not None
    assert drawn.row_count == 1
    assert [next(iter(column.cells)) for column in drawn.columns] == [
        "image_text standard ties",
        "signs",
        "0.6000",
        "0.8000",
        "0",
        "20",
        "3.8e-06",
        "moved beyond epsilon and beyond chance",
    ]
    assert comparison_formats.table(quiet) is None


def test_markdown_has_the_table_and_the_sentences(comparison, quiet):
    text = comparison_formats.markdown(comparison)
    assert text.startswith("### Accuracy gate: failed\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert len({line.count("|") for line in rows}) == 1
    assert all(f"- {sentence}" in text for sentence in comparison_formats.sentences(comparison))
    calm = comparison_formats.markdown(quiet)
    assert calm.startswith("### Accuracy gate: passed\n")
    assert "|" not in calm


def test_junit_has_a_case_for_each_accuracy_and_each_row_that_is_not_there(comparison, quiet):
    suite = ET.fromstring(comparison_formats.junit(comparison))  # noqa: S314
    failures = {c.get("name"): c[0].get("message") for c in suite if len(c)}
    assert failures == {
        "image_text standard ties: signs": (
            "moved beyond epsilon and beyond chance: 60 of 100 -> 80"
        ),
        "image_text standard gone: the row": "missing",
        "image_text standard broken: the row": "not ok any more: a < b | c",
        "image_text standard fresh: the row": "not in the baseline",
    }
    assert (suite.get("tests"), suite.get("failures")) == ("5", "4")
    assert {case.get("classname") for case in suite} == {"gate@1.0"}
    assert ET.fromstring(comparison_formats.junit(quiet)).get("failures") == "0"  # noqa: S314


def test_json_has_everything(comparison):
    values = json.loads(comparison_formats.as_json(comparison))
    assert values["passed"] is False
    assert values["tolerances"] == {"gate@1.0": {"epsilon": 0.01, "flips": 2}}
    assert [(c["task"], c["lost"], c["gained"], c["verdict"]) for c in values["changes"]] == [
        ("signs", 0, 20, "moved"),
        ("land", 0, 0, "same"),
    ]
    assert values["changes"][0]["grounds"] == ["epsilon", "chance"]
    assert [row["method"] for row in values["missing"]] == ["gone"]
    assert [(row["method"], row["reason"]) for row in values["broken"]] == [("broken", "a < b | c")]
    assert values["unguarded"] == values["new"]
    assert values["new"][0]["hyperparameters"] == {}
