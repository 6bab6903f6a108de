"""The checks as pytest's own cases, in a test-suite that somebody else wrote."""

from __future__ import annotations

import pytest

from taskmark.conformance import CHECKS, parametrize_checks
from taskmark.errors import TaskmarkError

pytest_plugins = ["pytester"]

SUITE = """
import pytest
from taskmark import Method
from taskmark.conformance import parametrize_checks

class Sum(Method):
    "Add up."
    name = "sum"
    def merge(self, given):
        return given.task_vectors.sum(0)

class First(Sum):
    "Take the first."
    name = "first"
    def merge(self, given):
        return given.task_vectors[0].clone()

@parametrize_checks({methods}, expected_failures={expected})
def test_it_conforms(check):
    check()
"""


@pytest.fixture
def outcomes(pytester):
    pytester.syspathinsert()

    def run(methods, expected=None):
        pytester.makepyfile(SUITE.format(methods=methods, expected=expected))
        result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "-p", "no:benchmark")
        return result.parseoutcomes(), result.stdout.str()

    return run


def test_each_check_of_each_method_is_a_case(outcomes):
    counts, text = outcomes("Sum, First")
    assert counts == {"passed": 2 * len(CHECKS) - 2, "failed": 2}
    assert "[first-order]" in text
    assert "order: The order of the tasks changes the result; make it irrelevant, or say" in text


def test_a_failure_that_is_expected_is_one_with_a_reason(outcomes):
    reasons = {"order": "one stays", "drawn_weights": "likewise"}
    assert outcomes("First", reasons)[0] == {"passed": len(CHECKS) - 2, "xfailed": 2}


def test_a_check_that_passes_in_spite_of_the_reason_fails(outcomes):
    assert outcomes("Sum", {"zeros": "no"})[0] == {"passed": len(CHECKS) - 1, "failed": 1}


def test_a_reason_for_a_check_that_is_none_is_one_sentence():
    with pytest.raises(TaskmarkError, match="no check 'ordr'; did you mean 'order'"):
        parametrize_checks(expected_failures={"ordr": "no"})
