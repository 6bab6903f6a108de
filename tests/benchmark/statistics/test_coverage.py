"""Intervals contain the truth as often as the table of coverage says."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from taskmark.statistics import coverage
from taskmark.statistics.coverage import SimulatedBoard, simulate

BOARDS = 250
# Three methods on each board share their images, so 250 boards count as at least 250 intervals: the
# standard error of 95 % is 1.4 % or less, and three of them leave 90.9 %. Drawing three seeds with
# replacement covers 79 to 88 % where seeds dominate.
LEAST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / BOARDS)


@pytest.mark.parametrize(
    "kind",
    [
        SimulatedBoard(100, 2, 3, 0.7, 0.97),
        SimulatedBoard(100, 2, 3, 0.7, 0.5),
        SimulatedBoard(100, 2, 3, 0.7, 0.0),
        SimulatedBoard(100, 2, 5, 0.7, 0.8),
        SimulatedBoard(50, 3, 1, 0.98),
    ],
    ids=str,
)
def test_intervals_cover_the_truth(kind):
    found = simulate(kind, boards=BOARDS, seed=1)
    assert min(found.accuracy, found.normalised, found.difference) > LEAST, found
    # One in twenty, and three standard errors of it.
    assert found.separated < 0.05 + 3 * np.sqrt(0.05 * 0.95 / BOARDS), found


def test_few_images_near_one_cover_as_the_interval_of_wilson_does():
    # Wilson's covers 92.2 % there by exact sums, resampled images 61 %.
    found = simulate(SimulatedBoard(50, 1, 1, 0.98), boards=BOARDS, seed=1)
    assert min(found.accuracy, found.normalised) > 0.922 - 3 * np.sqrt(0.922 * 0.078 / BOARDS)


def test_a_line_of_the_table_gives_what_the_table_says():
    lines = {line.board: line.coverage for line in coverage.read_table()}
    for kind in (SimulatedBoard(100, 4, 3, 0.7, 0.8), SimulatedBoard(100, 4, 3, 0.7, 0.5)):
        listed, found = lines[kind], simulate(kind, boards=150, seed=2)
        margin = 3.5 * np.sqrt(0.05 * 0.95 * (1 / 150 + 1 / listed.boards))
        for name in ("accuracy", "normalised", "difference"):
            assert getattr(found, name) == pytest.approx(getattr(listed, name), abs=margin), name


def test_the_table_holds_all_kinds_of_boards_and_covers():
    lines = coverage.read_table()
    assert [line.board for line in lines] == list(coverage.simulated_boards())
    assert coverage.least(lines, few_items=False) >= 0.93
    assert coverage.least(lines, few_items=True) >= 0.91
    assert max(line.coverage.separated for line in lines) <= 0.06


def test_the_same_seed_makes_the_same_table(tmp_path, monkeypatch, capsys):
    few = (SimulatedBoard(20, 1, 1, 0.9), SimulatedBoard(20, 1, 3, 0.9, 0.5))
    monkeypatch.setattr(coverage, "simulated_boards", lambda: few)
    texts = []
    for name in ("one.json", "two.json"):
        out = tmp_path / name
        monkeypatch.setattr(sys, "argv", ["coverage", "--boards", "4", "--out", str(out)])
        coverage.main()
        texts.append(out.read_text("utf-8"))
    assert texts[0] == texts[1]
    assert [line["n_seeds"] for line in json.loads(texts[0])] == [1, 3]
    assert "2/2  n_items 20" in capsys.readouterr().out


def test_made_up_methods_have_the_accuracy_that_is_asked_for():
    generator = np.random.default_rng(0)
    boards = [
        coverage.make_board(SimulatedBoard(200, 2, 3, 0.7, 0.9), generator) for _ in range(100)
    ]
    shares = [
        np.mean(list(of_seed.values()))
        for board in boards
        for scores in board
        for of_seed in scores.correct.values()
    ]
    assert np.mean(shares) == pytest.approx(0.7, abs=0.01)
    experts = [np.mean(list(scores.reference[0].values())) for board in boards for scores in board]
    assert np.mean(experts) == pytest.approx(coverage.EXPERT_ACCURACY, abs=0.01)
