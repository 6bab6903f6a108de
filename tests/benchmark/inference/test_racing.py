"""Races between scales: the capital of a bet by hand, and how often the winner is lost."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from taskmark.inference.racing import BETS, advance, begin


def _run(values, *, error=0.05, block=16):
    """Race over [N, S] in the order of the rows."""
    n_images, n_scales = values.shape
    race = begin(n_scales, n_images=n_images, largest=values.max(), error=error)
    for start in range(0, n_images, block):
        race = advance(race, values[start : start + block, race.running])
    return race


def _naive_capital(values, largest, bet, scale, rival):
    """What betting against a scale on a rival makes of 1, image by image."""
    capital, total = 1.0, 0.0
    for i, row in enumerate(values):
        mean = -total / (len(values) - i)
        x = float(row[scale] - row[rival])
        capital *= 1 - bet / (largest + max(-mean, 0)) * (x - mean)
        total += x
    return capital


def test_the_capital_is_that_of_the_definition():
    values = np.random.default_rng(0).random((40, 4)) * (1 + np.arange(4))
    race = _run(values, error=1e-300)
    assert race.running.all()
    for place, bet in enumerate(BETS):
        for scale, rival in itertools.permutations(range(4), 2):
            expected = _naive_capital(values, values.max(), bet, scale, rival)
            assert race.log_capital[place, scale, rival] == pytest.approx(math.log(expected))


def test_one_image_by_hand():
    race = begin(2, n_images=3, largest=2.0, error=0.05)
    race = advance(race, np.array([[0.0, 2.0]]))
    # Before the first image the mean is 0, so the bet wins the share b of the capital, or loses it.
    assert np.exp(race.log_capital[:, 0, 1]) == pytest.approx([1 + bet for bet in BETS])
    assert np.exp(race.log_capital[:, 1, 0]) == pytest.approx([1 - bet for bet in BETS])
    assert race.totals.tolist() == [0, 2]
    race = advance(race, np.array([[1.0, 1.0]]))
    # Two images are left, with a mean of at least 1 if scale 0 is to win; it is 0 on this one.
    won = [(1 + bet) * (1 + bet / 2) for bet in BETS]
    assert np.exp(race.log_capital[:, 0, 1]) == pytest.approx(won)


@pytest.mark.parametrize("lead", [0, 1])
def test_over_all_orders_no_bet_against_a_winner_wins_on_average(lead):
    values = np.array([[3.0, 0], [0, 2], [0, 2], [1, 0], [1, 1], [0, 0]])
    values[-1, 0] = lead  # the first wins by 0 or 1
    capitals = []
    for order in itertools.permutations(range(6)):
        race = begin(2, n_images=6, largest=3.0, error=1e-9)
        history = []
        for start in (0, 2, 4):
            race = advance(race, values[list(order[start : start + 2])])
            history.append(np.exp(race.log_capital[:, 0, 1]))
        capitals.append(history)
    mean = np.mean(capitals, axis=0)  # [looks, bets]
    if lead == 0:
        assert mean == pytest.approx(np.ones((3, len(BETS))))
    else:
        assert (mean < 1).all()


@settings(max_examples=40, deadline=None)
@for_all(st.integers(0, 10_000), st.integers(1, 60))
def test_blocks_change_when_scales_are_dropped_and_nothing_else(seed, block):
    values = np.random.default_rng(seed).integers(0, 2, size=(60, 3)).astype(float)
    values[0] = 1
    whole, cut = (_run(values, error=1e-300, block=size) for size in (60, block))
    assert cut.totals == pytest.approx(whole.totals)
    off = ~np.eye(3, dtype=bool)
    assert cut.log_capital[:, off] == pytest.approx(whole.log_capital[:, off])
    assert cut.n_read == whole.n_read == 60


@settings(max_examples=60, deadline=None)
@for_all(st.integers(0, 10_000), st.integers(2, 8), st.sampled_from([0.05, 0.9]))
def test_one_scale_is_always_left_and_what_is_dropped_stays_so(seed, n_scales, error):
    source = np.random.default_rng(seed)
    values = (source.random((200, n_scales)) < source.random(n_scales)).astype(float)
    race = begin(n_scales, n_images=200, largest=1.0, error=error)
    for start in range(0, 200, 20):
        after = advance(race, values[start : start + 20, race.running])
        assert after.running.any()
        assert not (after.running & ~race.running).any()
        dropped = ~race.running
        assert (after.totals[dropped] == race.totals[dropped]).all()
        race = after


def test_scales_that_are_equal_on_every_image_are_never_dropped():
    column = (np.random.default_rng(0).random((300, 1)) < 0.5).astype(float)
    assert _run(np.repeat(column, 5, axis=1), error=0.9).running.all()


# Simulated curves: how hard an image is decides most of whether it is right, luck the rest.


def _curve(kind: str, seed: int, *, n_images: int = 600) -> np.ndarray:
    """Values [N, 21] of images of three tasks, which count differently."""
    source = np.random.default_rng(seed)
    scales = np.linspace(0, 1, 21)
    heights = {
        "peaked": 0.8 - 1.2 * (scales - 0.4) ** 2,
        "flat": np.full(21, 0.7),
        "tied": np.where(np.arange(21) < 2, 0.7, 0.65),
    }[kind]
    hard, luck = source.random((n_images, 1)), source.random((n_images, 21))
    right = 0.8 * hard + 0.2 * luck < heights
    return right * source.choice([1.0, 1.5, 4.0], size=(n_images, 1))


def _lost(kind: str, error: float, n: int) -> tuple[float, float, float]:
    """How often the winner is lost, the mean regret, and the share of readings spent."""
    lost, regret, spent = [], [], []
    for seed in range(n):
        values = _curve(kind, seed)
        totals = values.sum(0)
        race = begin(21, n_images=len(values), largest=values.max(), error=error)
        readings = 0
        for start in range(0, len(values), 64):
            block = values[start : start + 64, race.running]
            readings += block.size
            race = advance(race, block)
        left = np.flatnonzero(race.running)
        lost.append(not race.running[totals.argmax()])
        regret.append((totals.max() - totals[left].max()) / totals.max())
        spent.append(readings / values.size)
    return float(np.mean(lost)), float(np.mean(regret)), float(np.mean(spent))


@pytest.mark.parametrize("kind", ["peaked", "flat", "tied"])
def test_the_winner_is_lost_no_more_often_than_stated(kind):
    lost, regret, _ = _lost(kind, 0.05, 100)
    assert lost <= 0.05
    assert regret <= 0.0005


def test_a_larger_error_loses_more_winners_within_its_bound():
    lost, regret, spent = _lost("flat", 0.6, 60)
    assert 0 < lost <= 0.6
    assert regret > 0
    assert spent < _lost("flat", 0.05, 60)[2]


def test_a_peaked_curve_costs_less_than_half_the_readings():
    assert _lost("peaked", 0.05, 20)[2] < 0.5
