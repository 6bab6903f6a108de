"""A verdict follows from an interval and a boundary, and from nothing else."""

from __future__ import annotations

import itertools

import pytest

from taskmark.reports.verdicts import VERDICTS, judge, together
from taskmark.statistics.differences import Difference


@pytest.mark.parametrize(
    ("asks", "boundary", "low", "high", "verdict"),
    [
        ("more than", 0, 0.01, 0.05, "holds"),
        ("more than", 0, -0.05, -0.01, "does not hold"),
        ("more than", 0, -0.01, 0.05, "cannot be told"),
        ("more than", 0, 0, 0.05, "cannot be told"),
        ("more than", 0, 0, 0, "cannot be told"),
        ("less than", 0, -0.05, -0.01, "holds"),
        ("less than", 0, 0.01, 0.05, "does not hold"),
        ("less than", 0, -0.01, 0.05, "cannot be told"),
        ("less than", 0, -0.05, 0, "cannot be told"),
        ("at least", 0, 0, 0.05, "holds"),
        ("at least", 0, 0, 0, "holds"),
        ("at least", 0, -0.01, 0.05, "cannot be told"),
        ("at least", 0, -0.05, 0, "cannot be told"),
        ("at least", 0, -0.05, -0.01, "does not hold"),
        ("at least", -0.02, -0.015, 0.01, "holds"),
        ("at least", -0.02, -0.03, -0.01, "cannot be told"),
        ("at least", -0.02, -0.04, -0.03, "does not hold"),
    ],
)
def test_the_interval_and_the_boundary_decide(asks, boundary, low, high, verdict):
    middle = (low + high) / 2
    assert judge(Difference(middle, 0, middle, low, high), asks, boundary) == verdict


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ([], "not measured"),
        (["holds", "holds"], "holds"),
        (["holds", "not measured"], "not measured"),
        (["holds", "not measured", "cannot be told"], "cannot be told"),
        (["cannot be told", "not measured", "does not hold", "holds"], "does not hold"),
    ],
)
def test_everything_must_hold(verdicts, verdict):
    assert together(verdicts) == verdict


def test_the_order_of_verdicts_does_not_matter():
    for size in (2, 3):
        for some in itertools.permutations(VERDICTS, size):
            assert together(some) == together(sorted(some))
