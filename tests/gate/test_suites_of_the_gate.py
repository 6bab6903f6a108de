"""The gate runs every built-in method, and in CI."""

from __future__ import annotations

import ast

import pytest
from planting import ROOT

from taskmark.methods import get, names
from taskmark.suite.suite_file import load


@pytest.fixture(scope="module")
def gates() -> dict[str, tuple[str, ...]]:
    """The suites of the gate with the methods named for them; none named is all."""
    for node in ast.parse((ROOT / "noxfile.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "GATES":
            return ast.literal_eval(node.value)
    pytest.fail("the noxfile has no GATES")


def test_every_method_runs_in_a_suite_that_has_tasks_for_it(gates):
    for name in names():
        able = [
            label
            for label, chosen in gates.items()
            if get(name).takes(len(load(label.replace("-1.0", "@1.0")).tasks))
            and (not chosen or name in chosen or get(name).role != "competitor")
        ]
        assert able, name


def test_ci_ends_with_the_gate():
    *_, command = (ROOT / ".ci/run").read_text("utf-8").splitlines()
    assert command.startswith("nox ")
    assert command.endswith(" gate")
