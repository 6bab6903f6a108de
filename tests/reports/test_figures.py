"""Figures are inline, repeatable, follow the page's colours, and survive odd names."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from made_up_records import (
    made_up_disentanglement,
    made_up_failure,
    made_up_method,
    made_up_record,
)

from taskmark.reports import figures, plot_data
from taskmark.reports.board import boards

ODD_NAMES = [
    "<script>x</script>",
    "a & b",
    "$x_1$",
    "\u202eltr",
    "模型合并",
    'quo"te',
    "x" * 200,
    "a\nb\x07c",
]


def parsed(figure):
    text = str(figure).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return ET.fromstring(text)  # noqa: S314 - our own figure


def drawn(board):
    places = {row.key: place for place, row in enumerate(board.rows)}
    curves = plot_data.curves(board)
    return {
        "curves": figures.scale_curves(board, curves, places),
    }


@pytest.fixture(scope="module")
def board(records):
    return boards(records)[0]


def test_figures_are_well_formed_and_have_a_description(board):
    for figure in drawn(board).values():
        root = parsed(figure)
        assert root.get("role") == "img"
        assert "image-text" in root.get("aria-label")


def test_figures_take_their_colours_from_the_page(board):
    for figure in drawn(board).values():
        assert "currentColor" in figure
        assert not re.search(r"#(?!m|p)[0-9a-f]{6}\b", figure)
        assert "font-family" not in figure
        assert "<style" not in figure


def test_the_same_board_gives_the_same_figures_whatever_the_users_settings(board):
    first = drawn(board)
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "svg.hashsalt": None}):
        assert drawn(board) == first


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_drawn_as_they_are_and_escaped(name):
    [board] = boards([made_up_record(n=20, method=made_up_method(name)), made_up_failure(n=20)])
    for figure in drawn(board).values():
        assert "<script" not in figure
        assert parsed(figure).get("role") == "img"


def test_a_curve_is_the_mean_over_seeds_with_every_chosen_scale():
    one, two = (made_up_record(n=20, expert_seed=s, skill=0.3 + 0.5 * s) for s in (0, 1))
    [curve] = plot_data.curves(boards([one, two])[0])
    assert curve.heights[0] == pytest.approx(
        (one.curve[0].normalised_accuracy + two.curve[0].normalised_accuracy) / 2
    )
    assert [scale for scale, _ in curve.chosen] == sorted({one.scale, two.scale})


def test_a_row_whose_scale_was_not_searched_has_no_curve():
    record = made_up_record(n=20)
    record = record.model_copy(update={"curve": record.curve[:1]})
    assert plot_data.curves(boards([record])[0]) == []


def test_the_colour_scale_ends_at_the_largest_error_of_all_maps():
    maps = [made_up_disentanglement(depth=depth) for depth in (0.1, 0.4)]
    largest = max(plot_data.mean_over_pairs(record).max() for record in maps)
    assert largest <= plot_data.largest_error(maps) <= largest + 0.1
    assert plot_data.largest_error([]) == 0.1


@pytest.mark.parametrize("alphas", [(0.0, 1.0), (0.5,), (-1.5, 0.0, 0.4, 1.5)])
def test_maps_of_any_grid_can_be_drawn(alphas):
    record = made_up_disentanglement()
    n = len(alphas)
    pairs = tuple(
        pair.model_copy(update={"xi": tuple(row[:n] for row in pair.xi[:n])})
        for pair in record.pairs
    )
    record = record.model_copy(update={"alphas": alphas, "pairs": pairs})
    assert parsed(figures.heat_map(record, largest=1.0)).get("role") == "img"


def test_a_map_without_pairs_can_be_drawn():
    record = made_up_disentanglement(pairs=())
    assert parsed(figures.heat_map(record, largest=1.0)).get("role") == "img"
