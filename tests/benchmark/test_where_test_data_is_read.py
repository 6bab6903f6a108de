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


def test_test_data_is_made_by_one_stage_and_read_by_expert_sets_and_reference_alone():
    naming = {
        path.name
        for path in HARNESS.rglob("*.py")
        if {"inputs_test", "data_test", "test_labels"} & _strings(path)
    }
    old_stores = {"address.py"}  # it names the folders that earlier versions left
    assert naming - old_stores == {"task_inputs.py", "expert_set.py", "expert_reference.py"}
    assert old_stores < naming


def test_test_predictions_of_the_reference_are_read_by_evaluation_alone():
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
    assert importers == {"row.py", "joint_training.py"}


def test_items_of_test_are_asked_for_by_what_makes_records_alone():
    asking = {
        path.name
        for path in HARNESS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("experts.test")
    }
    assert asking == {"evaluation.py", "disentanglement.py", "negation.py"}
