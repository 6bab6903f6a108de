"""DELLA against its formula on the draws of its seed: ranks, probabilities, rescaling, election."""

import math

import naive_formulas
import naive_sparsifying
import numpy as np
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import given_rows, rows

from taskmark.methods import della as module
from taskmark.methods.dare import draw_seed, draws, task_streams
from taskmark.methods.della import Della, DellaLinear
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.ties import Ties

METHODS = pytest.mark.parametrize("method", [Della, DellaLinear])
SHAPES = {"a": [2, 3], "scalar": [], "nothing": [0, 4], "one": [1], "filter": [2, 1, 2, 1]}
ROWS = [(0, 3), (3, 6), (6, 7), (7, 8), (8, 10), (10, 12)]  # of these shapes
PARTS = [(0, 6), (6, 7), (7, 8), (8, 12)]
ENTRY = st.integers(-24, 24).map(lambda n: n / 8)
TAU = st.lists(st.lists(ENTRY, min_size=12, max_size=12), min_size=1, max_size=4)
WINDOWS = st.sampled_from([(0.0, 0.0), (0.3, 0.14), (0.5, 0.0), (0.5, 0.9), (0.9, 0.15)])


def pruned(tau, given, rate, window, seed):
    """Each task vector after MagPrune; the draws of a row are dealt out by rising magnitude."""
    streams = task_streams(draw_seed(torch.Generator().manual_seed(seed)), given.tasks)
    found = []
    for row, stream in zip(tau, streams, strict=True):
        drawn = [n for start, stop in PARTS for n in draws(stream, stop - start).tolist()]
        found.append([])
        for start, stop in ROWS:
            entries = row[start:stop]
            probabilities = naive_sparsifying.drop_probabilities(entries, rate, window)
            ranks = np.argsort(np.argsort(np.abs(entries), kind="stable"), kind="stable")
            for value, p, rank in zip(entries, probabilities, ranks.tolist(), strict=True):
                dropping = round(p * 65_536)
                kept = drawn[start + rank] + 32_768 >= dropping
                found[-1].append(value / (1 - dropping / 65_536) if kept else 0.0)
    return found


@settings(deadline=None, max_examples=200)
@given_that(tau=TAU, window=WINDOWS, seed=st.integers(0, 99))
def test_the_linear_one_is_the_sum_of_the_pruned(tau, window, seed):
    given = given_rows(tau, SHAPES, seed=seed)
    expected = naive_formulas.summed(pruned(tau, given, *window, seed))
    found = DellaLinear(drop_rate=window[0], window=window[1]).merge(given).tolist()
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


@settings(deadline=None, max_examples=200)
@given_that(
    tau=TAU,
    window=WINDOWS,
    seed=st.integers(0, 99),
    merge_function=st.sampled_from(["mean", "sum"]),
)
def test_the_pruned_elect_a_sign(tau, window, seed, merge_function):
    given = given_rows(tau, SHAPES, seed=seed)
    kept = pruned(tau, given, *window, seed)
    expected = naive_sparsifying.elected(kept, mean=merge_function == "mean")
    method = Della(drop_rate=window[0], window=window[1], merge_function=merge_function)
    found = method.merge(given).tolist()
    for value, wanted, column in zip(found, expected, zip(*kept, strict=True), strict=True):
        if abs(math.fsum(column)) > 1e-5:  # else rounding elects the sign
            assert value == pytest.approx(wanted, rel=1e-5)


def test_the_probabilities_fall_in_equal_steps_with_the_rank():
    found = module.drop_probabilities(5, 0.5, 0.2).tolist()
    assert found == pytest.approx([0.6, 0.55, 0.5, 0.45, 0.4], abs=2**-17)
    assert module.drop_probabilities(1, 0.5, 0.2).tolist() == [0.5]
    assert module.drop_probabilities(3, 0.0, 0.0).tolist() == [0.0] * 3
    assert module.drop_probabilities(2, 0.5, 0.99999).tolist() == [1 - 2**-16, 0.0]


@settings(deadline=None)
@given_that(tau=rows(max_tasks=3))
def test_ranks_rise_with_the_magnitude_and_equals_rank_from_the_left(tau):
    found = module.columns_by_rank(torch.tensor(tau))
    expected = [
        sorted(range(len(row)), key=lambda column: (abs(row[column]), column)) for row in tau
    ]
    assert found.tolist() == expected


def test_large_entries_survive_more_often_and_the_mean_rate_is_p():
    n_rows, width = 20_000, 11
    tau = torch.arange(1.0, width + 1).expand(n_rows, width)
    probabilities = module.drop_probabilities(width, 0.5, 0.8)
    (found,) = module.magprune(tau[None], probabilities, task_streams(3, ["a"]))
    kept = (found != 0).double().mean(0)
    expected = 0.1 + 0.08 * torch.arange(width, dtype=torch.float64)
    assert torch.allclose(kept, expected, atol=4 * 0.5 / math.sqrt(n_rows))
    assert float(kept.mean()) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(n_rows * width))
    # Each is rescaled by its own probability, so that every column keeps its mean.
    error = 4 * ((1 / expected - 1) / n_rows).sqrt()
    assert (((found.double().mean(0) / tau[0].double()) - 1).abs() < error).all()


@settings(deadline=None)
@given_that(tau=rows())
def test_nothing_dropped_is_task_arithmetic_and_ties_without_trimming(tau):
    given = given_rows(tau)
    fields = {"drop_rate": 0, "window": 0}
    assert torch.equal(DellaLinear(**fields).merge(given), TaskArithmetic().merge(given))
    assert torch.equal(Della(**fields).merge(given), Ties(density=1).merge(given))


@METHODS
@settings(deadline=None)
@given_that(tau=rows(), order=st.randoms())
def test_the_draws_follow_the_names_and_not_the_order(method, tau, order):
    # Eighths times 2^16 / n lie on no grid: a sum of zero may come out as a rounding error.
    names = [f"task {number}" for number in range(len(tau))]
    places = list(range(len(tau)))
    order.shuffle(places)
    fields = {"drop_rate": 0.5, "window": 0}
    found = method(**fields).merge(given_rows(tau, tasks=names))
    moved = given_rows([tau[i] for i in places], tasks=[names[i] for i in places])
    assert torch.allclose(method(**fields).merge(moved), found, atol=1e-5)


@METHODS
@settings(deadline=None)
@given_that(tau=rows())
def test_sign_and_size_of_all_vectors_pass_through(method, tau):
    result = method().merge(given_rows(tau))
    negated = [[-4 * value for value in row] for row in tau]
    assert torch.equal(method().merge(given_rows(negated)), -4 * result)


@METHODS
def test_long_tensors_are_worked_through_in_whole_rows(method, monkeypatch):
    tau = torch.randn(2, 60 * 8, generator=torch.Generator().manual_seed(0)).tolist()
    whole = method().merge(given_rows(tau, {"w": [60, 8]}))
    monkeypatch.setattr(module, "_BLOCK", 20)  # two rows, sixteen draws
    assert torch.equal(method().merge(given_rows(tau, {"w": [60, 8]})), whole)


@METHODS
@pytest.mark.parametrize("fields", [{"drop_rate": 0.05}, {"drop_rate": 0.95}, {"window": 0.7}])
def test_probabilities_outside_their_range_are_refused(method, fields):
    with pytest.raises(ValidationError, match="choose a smaller window"):
        method(**fields)


@METHODS
@pytest.mark.parametrize("fields", [{"drop_rate": 1}, {"window": -0.1}, {"drop_rate": -1}])
def test_fields_outside_their_range_are_refused(method, fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        method(**fields)
