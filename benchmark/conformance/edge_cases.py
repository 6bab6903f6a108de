"""The checks as test cases of pytest, for the test-suite of whoever wrote a method."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from taskmark.conformance.checks import CHECKS, run_check
from taskmark.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from taskmark.contract.method import Method


def parametrize_checks(
    *methods: type[Method], expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Make one test case of every check on every method.

    The decorated test takes an argument `check` and calls it:

        @parametrize_checks(MyMethod)
        def test_it_conforms(check):
            check()

    Args:
        methods: subclasses of Method.
        expected_failures: the name of a check that is known to fail -> why. Such a case is an
            expected failure of pytest, and fails the suite once the check passes.

    Raises:
        TaskmarkError: if an expected failure names no check.
    """
    import pytest  # noqa: PLC0415 - only test-suites have it

    reasons = dict(expected_failures or {})
    for name in reasons:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    cases = [
        pytest.param(
            functools.partial(_hold, method, name),
            id=f"{method.name}-{name}",
            marks=[pytest.mark.xfail(reason=reasons[name], strict=True)] if name in reasons else [],
        )
        for method in methods
        for name in CHECKS
    ]
    return pytest.mark.parametrize("check", cases)


def _hold(method: type[Method], name: str) -> None:
    __tracebackhide__ = True  # the sentence says it all
    finding = run_check(method, name)
    if not finding.passed:
        raise AssertionError(f"{name}: {finding.sentence}")
