"""A board says everything without a script: numbers, intervals, ranks, states, costs."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_records import (
    made_up_board,
    made_up_failure,
    made_up_method,
    made_up_provenance,
    made_up_record,
)
from site_elements import text_of

from taskmark.records.packing import pack_bits
from taskmark.records.record import Storage, TaskResult
from taskmark.reports.board import boards
from taskmark.reports.site.board_pages import axis

BOARD = "mini@1.0/board-image-text.html"


def test_every_number_of_a_board_is_there_with_its_interval(site, records):
    text = text_of(site[BOARD])
    board = boards(records)[0]
    for row in (*board.ranked, *board.references):
        spread = row.intervals
        assert f"[{100 * spread.normalised_low:.1f}, {100 * spread.normalised_high:.1f}]" in text
        assert f"[{100 * spread.accuracy_low:.1f}, {100 * spread.accuracy_high:.1f}]" in text
        for cell in row.cells:
            assert (
                f"{100 * cell.accuracy:.1f} [{100 * cell.low:.1f}, {100 * cell.high:.1f}]" in text
            )
            ends = f"[{100 * cell.normalised_low:.1f}, {100 * cell.normalised_high:.1f}]"
            assert f"{100 * cell.normalised_accuracy:.1f} {ends}" in text
    assert "ValueError: the merged vector holds NaN" in text
    assert "Reference rows, never ranked" in text


def test_a_shared_rank_is_marked_and_explained(site_of):
    records = [made_up_record(n=50, method=made_up_method(name)) for name in ("one", "two")]
    page = site_of(records)[BOARD]
    assert page.count('class="shared"') == 2
    assert "The data cannot tell two from it" in text_of(page)


def test_a_row_is_ranked_by_the_standard_experts_and_its_own_recipe_stands_in_a_column(site_of):
    def row(name, recipe, n_correct):
        correct = np.arange(100) < n_correct
        result = TaskResult(
            task="digits",
            n=100,
            n_correct=n_correct,
            accuracy=n_correct / 100,
            low=0.0,
            high=1.0,
            normalised_accuracy=n_correct / {"standard": 96, "post_hoc": 40}[recipe],
            bits=pack_bits(correct),
            disagreement=0.0,
        )
        made = made_up_record(method=made_up_method(name), recipe=recipe, tasks=("digits",), n=100)
        return made.model_copy(update={"tasks": (result,)}).with_record_id()

    records = [
        row("experts", "standard", 96),
        row("experts", "post_hoc", 40),
        row("near", "standard", 60),
        row("far", "post_hoc", 38),
    ]
    page = site_of(records)[BOARD]
    assert "near leads with" in text_of(page)
    far = page.partition('data-v="far"')[2].partition("</tr>")[0]
    assert "<b>39.6</b>" in far  # 38 / 96, of the standard experts
    assert "<b>95.0</b>" in far  # 38 / 40, of its own


def test_each_seed_has_a_page_without_ranks(site_of):
    site = site_of(made_up_board(backbones=("image-text",), n=60, expert_seeds=(0, 1)))
    together = text_of(site[BOARD])
    assert "leads with" in together
    for seed in (0, 1):
        alone = site[BOARD.replace(".html", f"-seed-{seed}.html")]
        assert "a rank rests on all seeds together" in text_of(alone)
        assert "leads with" not in text_of(alone)
        assert "expert seed " + str(seed) in text_of(alone)


def test_what_is_not_one_model_stands_apart(site_of):
    storage = Storage(one_model=False, extra_bytes=12_000)
    records = [
        made_up_record(n=50),
        made_up_record(n=50, skill=0.9, method=made_up_method("masks"), storage=storage),
    ]
    page = site_of(records)[BOARD]
    assert "Not one merged model" in text_of(page)
    assert page.index("Not one merged model") < page.index('data-v="masks"')
    assert "12 kB" in text_of(page)


def test_a_stale_row_shows_its_numbers_and_why_it_has_no_rank(site_of):
    newer = made_up_method("ties", source_sha256="b" * 64)
    records = [
        made_up_record(n=50),
        made_up_record(n=50, method=made_up_method("ties")),
        made_up_record(n=50, method=newer, backbone="random"),
    ]
    provenance = records[-1].provenance.model_copy(update={"created_at": "2026-02-02T00:00:00Z"})
    records[-1] = records[-1].model_copy(update={"provenance": provenance})
    text = text_of(site_of(records)[BOARD])
    assert "made by an older version of the method (aaaaaaaa" in text
    assert "stale" in text


def test_methods_are_cited_once_an_entry(site_of):
    entry = "@article{one, title = {One}}"
    records = [
        made_up_record(n=20, method=made_up_method(name, bibtex=entry)) for name in ("a", "b")
    ]
    assert site_of(records)[BOARD].count(entry) == 1


@pytest.mark.parametrize("n_rows", [0, 1])
def test_range_bars_have_a_length_whatever_the_rows(n_rows):
    record = made_up_record(n=50, method=made_up_method("experts"), skill=1.0)
    rows = boards([record])[0].references[:n_rows]
    low, high = axis(rows)
    assert low < high


def test_what_the_records_of_all_rows_note_stands_on_the_board(site_of):
    leak = "dtd: 90 of 900 test images (10.0%) stand in train or validation too <b>"
    records = [
        made_up_record(n=50, provenance=made_up_provenance(notes=(leak, "batches of 64"))),
        made_up_record(
            n=50, method=made_up_method("ties"), provenance=made_up_provenance(notes=(leak,))
        ),
        made_up_failure(),
    ]
    text = text_of(site_of(records)[BOARD])
    assert f"note {leak}" in text
    assert "batches of 64" not in text
