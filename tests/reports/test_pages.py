"""The page says everything without a script, trusts no text, and asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from made_up_records import (
    made_up_board,
    made_up_disentanglement,
    made_up_failure,
    made_up_method,
    made_up_provenance,
    made_up_record,
)

from taskmark.reports import pages, provenance
from taskmark.reports.board import boards
from taskmark.reports.definitions import definitions
from taskmark.reports.finding_filters import signed_in_unit
from taskmark.reports.summaries import summaries

NASTY = '<script>alert("x")</script>\'"&\u202e=cmd|x'


class Elements(HTMLParser):
    """Collects elements with their attributes, and the text."""

    def __init__(self):
        super().__init__()
        self.found, self.text, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    elements = Elements()
    elements.feed(page)
    return elements


@pytest.fixture(scope="module")
def found(records, maps):
    return summaries(boards(records), maps)


@pytest.fixture(scope="module")
def page(records, maps, found):
    return pages.render(boards(records), maps, found)


def test_the_policy_allows_the_own_script_alone(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    script = re.search(r"<script>(.*)</script>", page, flags=re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes in parsed(page).found:
        assert tag not in {"link", "iframe", "object", "embed"}
        for name in ("src", "href", "xlink:href"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:image/png;base64,", "../")), (tag, address)
    assert "@import" not in page
    assert "url(http" not in page


def test_every_number_of_a_board_is_there_without_a_script(page, records):
    text = " ".join(" ".join(parsed(page).text).split())
    for row in boards(records)[0].ranked:
        spread = row.intervals
        assert f"[{100 * spread.normalised_low:.1f}, {100 * spread.normalised_high:.1f}]" in text
        for cell in row.cells:
            assert f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]" in text
    assert "ValueError: the merged vector holds NaN" in text
    assert "Reference rows, never ranked" in text


def test_every_record_stands_with_the_command_that_makes_it_again(page, records):
    for record in records:
        assert record.record_id in page
    assert "taskmark run --suite mini@1.0 --backbone random --recipe tangent" in page


def test_every_map_stands_with_its_number_and_interval(page, maps):
    for record in maps:
        assert f"{record.unit_square:.3f}" in page
        assert f"[{record.low:.3f}, {record.high:.3f}]" in page


def test_every_finding_stands_with_its_verdict_and_all_intervals(page, found):
    text = " ".join(" ".join(parsed(page).text).split())
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


def test_the_page_says_how_well_the_board_separates(page, found):
    text = " ".join(" ".join(parsed(page).text).split())
    power = found.summaries[0].power
    assert f"{power.n_separated} of {power.n_pairs} pairs differ significantly" in text
    assert "This needs three expert seeds on every backbone; the fewest here are 1." in text
    assert "This needs two expert seeds at least." in text
    assert "Holm-corrected" in text


def test_rank_correlations_stand_on_the_page():
    records = made_up_board(backbones=("image-text",), n=50, expert_seeds=(0, 1))
    ranked = boards(records)
    found = summaries(ranked, [])
    text = " ".join(" ".join(parsed(pages.render(ranked, [], found)).text).split())
    assert f"mean Kendall τ {found.summaries[0].power.mean_correlation:.2f}" in text


def test_ids_are_unique_and_references_lead_somewhere(page):
    ids = [
        a["id"] for tag, a in parsed(page).found if "id" in a and tag not in {"path", "clippath"}
    ]
    assert len(ids) == len(set(ids))
    for _, attributes in parsed(page).found:
        for name in ("aria-labelledby", "for"):
            assert attributes.get(name, ids[0]) in ids


def test_texts_from_outside_stay_texts():
    method = made_up_method(NASTY, summary=NASTY, paper=NASTY, hyperparameters={NASTY: NASTY})
    record = made_up_record(
        n=20,
        method=method,
        backbone=NASTY,
        recipe=NASTY,
        tasks=(NASTY, "plain"),
        provenance=made_up_provenance(device=NASTY, libraries={NASTY: NASTY}),
    )
    failure = made_up_failure(n=20, backbone=NASTY, reason=NASTY, method=method)
    ranked = boards([record, failure.model_copy(update={"recipe": "standard"})])
    maps = [made_up_disentanglement(backbone=NASTY, recipe=NASTY, suite=record.suite)]
    elements = parsed(pages.render(ranked, maps, summaries(ranked, maps)))
    assert [tag for tag, _ in elements.found].count("script") == 1
    assert NASTY in "".join(elements.text).replace("\u200b", "")
    for _, attributes in elements.found:
        assert not any(name.startswith("on") for name in attributes)


def test_a_shared_rank_is_marked():
    records = [made_up_record(n=50, method=made_up_method(name)) for name in ("one", "two")]
    page = pages.render(boards(records), [])
    assert page.count('class="shared"') == 2
    assert "the data cannot tell" in page


def test_suites_of_one_name_and_version_but_other_content_are_told_apart():
    record = made_up_record(n=20)
    suite = record.suite.model_copy(update={"sha256": "6" * 64})
    ranked = boards([record, made_up_record(n=20, suite=suite)])
    page = pages.render(ranked, [], summaries(ranked, []))
    assert "mini@1.0 (55555555)" in page
    assert "mini@1.0 (66666666)" in page
    sections = [a for tag, a in parsed(page).found if a.get("class") == "findings"]
    assert len({a["data-suite"] for a in sections}) == 2


def test_definitions_come_from_the_code():
    texts = {d.term: " ".join(d.paragraphs) for d in definitions()}
    assert "Holm" in texts["Rank"]
    assert "bootstrap" in texts["Intervals"]
    assert "range [0, 2]" in texts["Weight-disentanglement error ξ"]
    assert "expert" in texts["Normalised accuracy"]
    for name in ("`trials`", "`gradient_images`", "`extra_parameters`"):
        assert name in texts["Cost"]
    assert all(paragraph for text in definitions() for paragraph in text.paragraphs)


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
    assert words in provenance.command(made_up_record(n=10, **changes))


def test_the_command_of_a_part_of_a_suite_names_its_tasks():
    record = made_up_record(n=10)
    suite = record.suite.model_copy(update={"version": "1.0+digits+signs"})
    command = provenance.command(record.model_copy(update={"suite": suite}))
    assert "--suite mini@1.0 --task digits --task signs" in command


def test_a_plug_in_shows_its_own_commit():
    method = made_up_method("mine", origin="package", commit="f" * 40, dirty=True)
    text = provenance.code(made_up_record(n=10, method=method))
    assert text == "0123456789ab; method ffffffffffff, with uncommitted changes"


def test_numbers_are_written_short():
    assert [pages._compact(n) for n in (None, 0, 51_200, 0.0213, 3.14159, 1e6, 7e-5)] == [
        "",
        "0",
        "51,200",
        "0.021",
        "3.1",
        "1,000,000",
        "<0.001",
    ]
