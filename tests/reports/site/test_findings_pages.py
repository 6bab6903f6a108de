"""Findings stand with their verdicts and every interval."""

from __future__ import annotations

import pytest
from made_up_records import made_up_board
from site_elements import text_of

from taskmark.reports.board import boards
from taskmark.reports.site.finding_formats import signed_in_unit
from taskmark.reports.summaries import summaries

FINDINGS = "mini@1.0/findings.html"


@pytest.fixture(scope="module")
def found(records, maps):
    return summaries(boards(records), maps)


def test_every_finding_stands_with_its_verdict_and_all_intervals(site, found):
    text = text_of(site[FINDINGS])
    [summary] = found.summaries
    for finding in summary.findings:
        start = text.index(f"{finding.number}. {finding.statement}")
        assert f"{finding.verdict} " in text[start + len(finding.statement) :][:40]
        for part in finding.parts:
            for estimate in part.estimates:
                if estimate.difference is None:
                    assert estimate.missing in text
                else:
                    ends = (signed_in_unit(end, part.unit) for end in (estimate.low, estimate.high))
                    assert "[{}, {}]".format(*ends) in text
    assert {finding.verdict for finding in summary.findings} >= {"holds", "not measured"}


def test_the_page_says_how_well_the_board_separates(site, found):
    text = text_of(site[FINDINGS])
    power = found.summaries[0].power
    assert f"{power.n_separated} of {power.n_pairs} pairs differ significantly" in text
    assert "This needs three expert seeds on every backbone; the fewest here are 1." in text
    assert "This needs two expert seeds at least." in text
    assert "Holm-corrected" in text


def test_rank_correlations_stand_on_the_page(site_of):
    records = made_up_board(backbones=("image-text",), n=50, expert_seeds=(0, 1))
    ranked = boards(records)
    found = summaries(ranked, [])
    text = text_of(site_of(records)[FINDINGS])
    assert f"mean Kendall τ {found.summaries[0].power.mean_correlation:.2f}" in text


def test_a_suite_without_findings_says_so_and_shows_how_well_it_separates(site_of):
    records = made_up_board(backbones=("image-text",), n=50)
    other = [
        r.model_copy(update={"suite": r.suite.model_copy(update={"name": "own"})}) for r in records
    ]
    text = text_of(site_of(other)["own@1.0/findings.html"])
    assert "This suite is asked for no findings of papers." in text
    assert "A finding holds only where" not in text
    assert "How well this board separates methods" in text
