"""The overview counts where a method is unbeaten, and keeps everything apart that is not ranked."""

from __future__ import annotations

import re

from made_up_records import made_up_failure, made_up_method, made_up_record
from site_elements import text_of

from taskmark.reports.board import boards
from taskmark.reports.site.overview_pages import lines


def measured(skills, backbone):
    return [
        made_up_record(n=400, method=made_up_method(name), skill=skill, backbone=backbone)
        for name, skill in skills.items()
    ]


def test_unbeaten_counts_the_backbones_but_the_control():
    found = boards(
        measured({"one": 0.9, "two": 0.2}, "a")
        + measured({"one": 0.2, "two": 0.9}, "b")
        + measured({"one": 0.9, "two": 0.1}, "c")
        + measured({"one": 0.1, "two": 0.9}, "random")
    )
    groups = lines(tuple(found))
    counted = {line.row.label: (line.unbeaten, line.n_ranked) for line in groups["ranked"]}
    assert counted == {"one": (2, 3), "two": (1, 3)}
    assert [line.row.label for line in groups["ranked"]] == ["one", "two"]


def test_a_row_that_is_missing_or_failed_somewhere_says_so(site_of):
    records = [*measured({"one": 0.9}, "a"), *measured({"one": 0.9, "two": 0.5}, "b")]
    records.append(made_up_failure(backbone="b"))
    groups = lines(tuple(boards(records)))
    assert [[row is None for row in line.rows] for line in groups["ranked"]] == [
        [False, False],
        [True, False],
    ]
    assert [line.row.label for line in groups["unranked"]] == ["fragile"]
    assert "failed" in text_of(site_of(records)["index.html"])


def test_every_row_has_its_number_interval_and_rank(site, records):
    text = text_of(site["index.html"])
    for board in boards(records):
        for row in board.ranked:
            spread = row.intervals
            ends = f"[{100 * spread.normalised_low:.1f}, {100 * spread.normalised_high:.1f}]"
            assert f"{row.standing.rank} {100 * row.normalised_accuracy:.1f} {ends}" in text


def test_the_first_page_answers_before_the_table(site, records):
    page = site["index.html"]
    text = text_of(page)
    board = boards(records)[0]
    assert (
        f"{board.ranked[0].label} leads with {100 * board.ranked[0].normalised_accuracy:.1f}"
        in text
    )
    assert page.index('class="answer"') < page.index('class="picture"') < page.index("data-view")
    for track in ("weights", "unlabelled", "labelled"):
        best = next(row for row in board.ranked if row.method.track == track)
        line = page.partition(f'<tr><th scope="row">{track}</th>')[2].partition("</tr>")[0]
        assert f"{100 * best.normalised_accuracy:.1f}" in line
        assert f"{100 * best.accuracy:.1f}" in line
    assert page.count('class="answer"') == 1  # not on the control


def test_a_site_of_several_suites_has_one_entry_page_that_says_what_leads_on_each(site_of):
    suite = made_up_record(n=20).suite
    other = suite.model_copy(update={"name": "words", "sha256": "7" * 64})
    records = [
        *measured({"one": 0.9, "two": 0.2}, "a"),
        made_up_record(n=50, method=made_up_method("three"), backbone="b", suite=other),
    ]
    site = site_of(records)
    home = text_of(site["index.html"])
    for line in (r"mini@1\.0 +4 tasks +a ?: one", r"words@1\.0 +4 tasks +b ?: three"):
        assert re.search(line, home), home[:900]
    assert 'href="words@1.0/index.html"' in site["index.html"]
