"""All rows of a board are a share of the same experts, however their own recipe tuned its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_records import made_up_method, made_up_record, write_out

from taskmark.records.envelope import ExpertOrigin
from taskmark.records.packing import pack_bits
from taskmark.records.record import TaskResult
from taskmark.reports import build, definitions, read_records
from taskmark.reports.board import boards
from taskmark.reports.scores import ExpertBits, choose_ruler
from taskmark.reports.site.number_formats import percent

EXAMPLE = Path(__file__).parents[2] / "examples" / "mini-1.0"


def by_hand(name, right, of_own, recipe="standard", n=1000, **changes):
    """A record of one task with the first `right` of n images correct, `of_own` by its experts."""
    bits = np.arange(n) < right
    result = TaskResult(
        task="a",
        n=n,
        n_correct=right,
        accuracy=right / n,
        low=right / n - 0.02,
        high=right / n + 0.02,
        normalised_accuracy=right / of_own,
        bits=pack_bits(bits),
        disagreement=0.1,
    )
    role = "reference" if name == "experts" else "competitor"
    record = made_up_record(method=made_up_method(name, role=role), recipe=recipe, **changes)
    share = right / of_own
    update = {
        "tasks": (result,),
        "accuracy": right / n,
        "normalised_accuracy": share,
        "normalised_low": share - 0.01,
        "normalised_high": share + 0.01,
    }
    return record.model_copy(update=update).with_record_id()


# As post_hoc_linearisation and atlas on `supervised`: 95 % of weak experts, 93 % of strong ones.
WEAK = by_hand("experts", 860, 860, "post_hoc")
STRONG = by_hand("experts", 900, 900)
POST_HOC = by_hand("post_hoc_linearisation", 818, 860, "post_hoc")
ATLAS = by_hand("atlas", 835, 900)


def rows_of(*records):
    [board] = boards(records)
    return board, {row.label: row for row in board.ranked}


def test_a_method_with_weaker_experts_does_not_lead_by_them():
    board, rows = rows_of(WEAK, STRONG, POST_HOC, ATLAS)
    assert [row.label for row in board.ranked] == ["atlas", "post_hoc_linearisation"]
    assert [row.standing.rank for row in board.ranked] == [1, 2]
    post_hoc = rows["post_hoc_linearisation"]
    assert post_hoc.normalised_accuracy == pytest.approx(818 / 900)
    assert (post_hoc.own.value, post_hoc.own.low) == pytest.approx((818 / 860, 818 / 860 - 0.01))
    assert post_hoc.own.value > rows["atlas"].own.value == rows["atlas"].normalised_accuracy
    low, high = post_hoc.intervals.normalised_low, post_hoc.intervals.normalised_high
    assert low < 818 / 900 < high < post_hoc.own.low


def test_experts_of_another_recipe_are_less_than_the_ruler():
    board, _ = rows_of(WEAK, STRONG, POST_HOC, ATLAS)
    shares = {row.recipe: row.normalised_accuracy for row in board.references}
    assert shares == {"standard": 1.0, "post_hoc": pytest.approx(860 / 900)}


def test_the_standard_experts_follow_from_any_row_that_stands_on_them():
    board, rows = rows_of(POST_HOC, ATLAS)
    assert board.other_ruler == ""
    assert rows["post_hoc_linearisation"].normalised_accuracy == pytest.approx(818 / 900)


def test_a_row_that_has_nothing_right_says_nothing_of_its_experts():
    nothing = by_hand("nothing", 0, 1)
    bits = choose_ruler(ExpertBits([nothing, ATLAS])).of(nothing)["a"]
    assert bits.mean() == pytest.approx(0.9)


def test_where_only_other_experts_are_brought_along_the_board_says_that_they_are_the_ruler(site_of):
    brought = ExpertOrigin(family="published", files={"a": "1" * 64})
    experts = by_hand("experts", 800, 800, "tangent", experts=brought)
    method = by_hand("tangent_fine_tuning", 760, 800, "tangent", experts=brought)
    board, rows = rows_of(experts, method)
    assert board.other_ruler == "tangent"
    assert rows["tangent_fine_tuning"].normalised_accuracy == pytest.approx(0.95)
    [page] = [
        page
        for path, page in site_of([experts, method]).items()
        if path.endswith("board-image-text.html")
    ]
    text = " ".join(page.split())
    assert "the recipe <b><bdi>tangent</bdi></b>, which are the ruler of this board" in text


def test_several_seeds_have_the_ruler_of_their_own_seed():
    seeds = [
        (
            by_hand("experts", 900 - 50 * s, 900 - 50 * s, expert_seed=s),
            by_hand("experts", 860, 860, "post_hoc", expert_seed=s),
            by_hand("post_hoc_linearisation", 765, 860, "post_hoc", expert_seed=s),
        )
        for s in range(2)
    ]
    _, rows = rows_of(*(record for of_seed in seeds for record in of_seed))
    row = rows["post_hoc_linearisation"]
    assert row.normalised_accuracy == pytest.approx((765 / 900 + 765 / 850) / 2)
    assert row.own.value == pytest.approx(765 / 860)
    assert row.own.low < row.own.value < row.own.high


def test_the_tables_hold_both_figures_under_names_of_their_own(tmp_path):
    out = write_out(tmp_path, [WEAK, STRONG, POST_HOC, ATLAS])
    build(out)
    table = pd.read_csv(out / "records.csv").set_index(["method", "recipe"])
    line = table.loc["post_hoc_linearisation", "post_hoc"]
    assert line["normalised_accuracy"] == pytest.approx(818 / 900)
    assert line["own_recipe"] == pytest.approx(818 / 860)


def test_the_record_page_shows_both_figures(site_of):
    pages = site_of([WEAK, STRONG, POST_HOC, ATLAS])
    page = pages[f"records/{POST_HOC.record_id[:16]}.html"]
    cells = re.findall(r"<b>([\d.]+)</b>", page.partition("Results on test")[2])
    assert cells[1:3] == [percent(818 / 900), percent(818 / 860)]


def test_the_case_on_the_page_about_the_numbers_is_that_of_the_example():
    board = next(b for b in boards(read_records(EXAMPLE)) if b.backbone == "supervised")
    rows = {row.label: row for row in board.ranked}
    post_hoc, atlas = rows["post_hoc_linearisation"], rows["atlas"]
    text = " ".join(p for one in definitions.definitions() for p in one.paragraphs)
    for share in (post_hoc.own.value, post_hoc.accuracy, post_hoc.normalised_accuracy):
        assert f"{percent(share)} %" in text
    assert f"{percent(atlas.normalised_accuracy)} %" in text
    assert f"{percent(atlas.accuracy)} %" in text
    assert f"tier {post_hoc.standing.rank}" in text
