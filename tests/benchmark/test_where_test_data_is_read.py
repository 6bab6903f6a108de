"""Where test data is read: a rule for the harness itself."""

from __future__ import annotations

import ast
from pathlib import Path

import taskmark

HARNESS = Path(taskmark.__file__).parent


def _strings(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_test_data_is_made_by_one_stage_and_read_by_evaluation_and_normaliser_alone():
    naming = {
        path.name
        for path in HARNESS.rglob("*.py")
        if {"inputs_test", "data_test", "test_labels"} & _strings(path)
    }
    # data.py makes it, and jobs.py says that it does.
    assert naming == {"data.py", "jobs.py", "evaluation.py", "normaliser.py"}


def test_test_predictions_of_the_normaliser_are_read_by_evaluation_alone():
    naming = {
        path.name
        for path in HARNESS.rglob("*.py")
        if any(text.startswith("test/") for text in _strings(path))
    }
    assert naming == {"evaluation.py"}


def test_evaluation_is_asked_only_by_what_makes_records():
    importers = {
        path.name
        for path in HARNESS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "taskmark.stages.evaluation"
    }
    assert importers == {"rows.py", "disentanglement.py", "negation.py"}


def test_a_row_reads_test_data_after_the_scale_is_chosen():
    source = (HARNESS / "stages" / "row.py").read_text("utf-8")
    calls = [
        (node.lineno, ast.unparse(node.func))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
    ]
    order = [name for _, name in sorted(calls) if name in {"edit", "best", "evaluate"}]
    assert order == ["edit", "best", "evaluate"]
