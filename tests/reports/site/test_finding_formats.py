"""Numbers of findings are written in their unit, and bars hold all that they show."""

from __future__ import annotations

import pytest

from taskmark.reports.site import finding_formats
from taskmark.reports.verdicts import VERDICTS, Estimate, FindingPart, PublishedFinding


def estimate(low=None, high=None, *, claimed=True, verdict="holds", seeds=(0,)):
    middle = None if low is None else (low + high) / 2
    return Estimate(
        backbone="supervised",
        claimed=claimed,
        verdict=verdict,
        difference=middle,
        low=low,
        high=high,
        expert_seeds=seeds,
    )


def part(*estimates, boundary=0.0, unit="accuracy", asks="more than", decides=True):
    return FindingPart(
        difference="one less another",
        asks=asks,
        boundary=boundary,
        unit=unit,
        decides=decides,
        verdict="holds",
        estimates=estimates,
    )


@pytest.mark.parametrize(
    ("number", "unit", "written"),
    [
        (-0.0213, "accuracy", "\u22122.13"),
        (0.0213, "accuracy", "+2.13"),
        (-0.1068, "error", "\u22120.107"),
        (0.0, "error", "+0.000"),
    ],
)
def test_differences_have_signs(number, unit, written):
    assert finding_formats.signed_in_unit(number, unit) == written


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "more than 0"),
        ({"asks": "less than", "unit": "error"}, "less than 0"),
        ({"asks": "less than", "unit": "error", "boundary": 0.1}, "less than 0.1"),
        ({"asks": "at least", "boundary": -0.02}, "at least \u22122 points"),
    ],
)
def test_what_is_asked_is_said_in_words(changes, words):
    assert finding_formats.asked(part(**changes)) == words


def test_an_axis_holds_every_interval_and_the_boundary():
    for intervals, boundary in (
        ([(0.1, 0.2), (0.3, 0.4)], 0.0),
        ([(-0.4, -0.3)], -0.02),
        ([(0.0, 0.0)], 0.0),
        ([(None, None)], -0.02),
    ):
        ends = finding_formats.axis(part(*(estimate(*i) for i in intervals), boundary=boundary))
        for number in [boundary, *(end for i in intervals for end in i if end is not None)]:
            assert 0 < float(finding_formats.place(number, ends).rstrip("%")) < 100


def test_seeds_are_named_once_where_they_are_the_same():
    one, two = estimate(0.1, 0.2), estimate(0.1, 0.2, seeds=(0, 1))
    assert finding_formats.seeds((one, one, estimate(seeds=()))) == "expert seed 0"
    assert finding_formats.seeds((two, two)) == "expert seeds 0, 1"
    assert finding_formats.seeds((one, two)) == ""
    assert finding_formats.seeds(()) == ""


def test_a_verdict_is_broken_down_by_the_comparisons_that_decide_it():
    finding = PublishedFinding(
        number=1,
        statement="",
        definition="",
        verdict="does not hold",
        parts=(
            part(
                estimate(verdict="does not hold"),
                estimate(),
                estimate(),
                estimate(claimed=False, verdict="cannot be told"),
            ),
            part(estimate(verdict="not measured"), decides=False),
        ),
    )
    assert finding_formats.by_verdict(finding) == "2 hold, 1 does not hold"


def test_every_verdict_has_a_sign_of_its_own():
    assert set(finding_formats.SIGNS) == set(VERDICTS)
    assert len(set(finding_formats.SIGNS.values())) == len(VERDICTS)
