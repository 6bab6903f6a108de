"""DARE against its formula on the masks that its seed draws, and what it reduces to."""

import math

import naive_formulas
import numpy as np
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import given_rows, rows

from taskmark.methods import chunks
from taskmark.methods.dare import DareTaskArithmetic, DareTies
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.ties import Ties

RATES = st.sampled_from([0.0, 0.25, 0.5, 0.9])
METHODS = pytest.mark.parametrize("method", [DareTaskArithmetic, DareTies])


def thinned(tau, given, rate, seed):
    """tau' by the definition, with draws of 16 bits worked out by whole numbers of Python."""
    own = int(torch.randint(2**63 - 1, (), generator=torch.Generator().manual_seed(seed)))
    n_dropped = math.floor(rate * 65_536)
    result = []
    for row, task in zip(tau, given.tasks, strict=True):
        words = np.random.SFC64([own, *task.encode()]).random_raw(math.ceil(len(row) / 4))
        quarters = [int(word) >> shift & 0xFFFF for word in words for shift in (0, 16, 32, 48)]
        # The sixteen bits are a number with a sign: 0x8000 is the smallest.
        ranks = [(quarter + 0x8000) % 0x10000 for quarter in quarters]
        result.append(
            [
                value * 65_536 / (65_536 - n_dropped) if rank >= n_dropped else 0.0
                for value, rank in zip(row, ranks, strict=False)
            ]
        )
    return result


@settings(deadline=None)
@given_that(tau=rows(), rate=RATES, seed=st.integers(0, 99))
def test_with_task_arithmetic_it_is_the_sum_of_the_thinned(tau, rate, seed):
    given = given_rows(tau, seed=seed)
    expected = naive_formulas.summed(thinned(tau, given, rate, seed))
    found = DareTaskArithmetic(drop_rate=rate).merge(given).tolist()
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


@settings(deadline=None, max_examples=200)
@given_that(
    tau=rows(),
    rate=RATES,
    seed=st.integers(0, 99),
    density=st.sampled_from([0.05, 0.2, 0.5, 1.0]),
    merge_function=st.sampled_from(["mean", "sum"]),
)
def test_with_ties_it_is_ties_of_the_thinned(tau, rate, seed, density, merge_function):
    given = given_rows(tau, seed=seed)
    expected = naive_formulas.ties(
        thinned(tau, given, rate, seed),
        [0, len(tau[0])],
        density=density,
        mean=merge_function == "mean",
    )
    fields = {"drop_rate": rate, "density": density, "merge_function": merge_function}
    assert DareTies(**fields).merge(given).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_ties_trims_a_long_vector_only_where_more_is_left_than_it_keeps(rate):
    tau = torch.randn(2, 70_000, generator=torch.Generator().manual_seed(1))
    given = given_rows(tau.tolist(), seed=8)
    found = DareTies(drop_rate=rate).merge(given)
    share = float((found != 0).double().mean())
    kept = min(0.2, 1 - rate)
    assert share == pytest.approx(1 - (1 - kept) ** 2, abs=0.01)  # kept in one task or the other


def test_the_expectation_is_task_arithmetic():
    tau = torch.randn(3, 200_000, generator=torch.Generator().manual_seed(1)).abs()
    given = given_rows(tau.tolist(), seed=8)
    found = DareTaskArithmetic(drop_rate=0.9).merge(given).double().mean()
    expected = TaskArithmetic().merge(given).double().mean()
    # One entry of tau' has a variance of tau^2 p / (1 - p) = 9 about tau; the sum is of three.
    assert float(found) == pytest.approx(float(expected), abs=4 * (3 * 9 / 200_000) ** 0.5)


@settings(deadline=None)
@given_that(tau=rows())
def test_nothing_dropped_is_task_arithmetic_and_ties(tau):
    given = given_rows(tau)
    found = DareTaskArithmetic(drop_rate=0).merge(given)
    assert torch.equal(found, TaskArithmetic().merge(given))
    assert torch.equal(DareTies(drop_rate=0).merge(given), Ties().merge(given))


@METHODS
@settings(deadline=None)
@given_that(tau=rows(), order=st.randoms())
def test_the_draws_follow_the_names_and_not_the_order(method, tau, order):
    names = [f"task {number}" for number in range(len(tau))]
    places = list(range(len(tau)))
    order.shuffle(places)
    found = method(drop_rate=0.5).merge(given_rows(tau, tasks=names))
    moved = given_rows([tau[i] for i in places], tasks=[names[i] for i in places])
    assert torch.allclose(method(drop_rate=0.5).merge(moved), found, atol=1e-5)


@METHODS
@settings(deadline=None)
@given_that(tau=rows())
def test_sign_and_size_of_all_vectors_pass_through(method, tau):
    result = method(drop_rate=0.5).merge(given_rows(tau))
    negated = [[-4 * value for value in row] for row in tau]
    assert torch.equal(method(drop_rate=0.5).merge(given_rows(negated)), -4 * result)


@METHODS
def test_seeds_differ_and_repeat(method):
    tau = torch.randn(2, 500, generator=torch.Generator().manual_seed(0)).tolist()
    one, same, other = (method().merge(given_rows(tau, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@METHODS
@pytest.mark.parametrize("rate", [0.1, 0.9])
def test_chunks_do_not_show(method, rate, monkeypatch):
    tau = torch.randn(3, 1_001, generator=torch.Generator().manual_seed(0)).tolist()
    whole = method(drop_rate=rate).merge(given_rows(tau))
    monkeypatch.setattr(chunks, "_BLOCK", 48)  # sixteen entries of three tasks
    assert torch.equal(method(drop_rate=rate).merge(given_rows(tau)), whole)


def test_the_defaults():
    assert DareTaskArithmetic().hyperparameters() == {"drop_rate": 0.9}
    assert DareTies().hyperparameters() == {
        "drop_rate": 0.9,
        "density": 0.2,
        "merge_function": "mean",
    }


@METHODS
@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rates_outside_their_range_are_refused(method, rate):
    with pytest.raises(ValidationError, match="drop_rate"):
        method(drop_rate=rate)


def test_a_density_of_zero_is_refused():
    with pytest.raises(ValidationError, match="density"):
        DareTies(density=0)
