"""Model breadcrumbs against the formula, its conventions one by one, and what it reduces to."""

import itertools
import math

import naive_formulas
import naive_sparsifying
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import cuts, given_rows, rows

from taskmark.methods import chunks
from taskmark.methods.breadcrumbs import Breadcrumbs, BreadcrumbsTies, band, within
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.ties import Ties

SHARES = {
    "density": st.sampled_from([0.05, 0.15, 0.5, 0.9, 1.0]),
    "gamma": st.sampled_from([0.0, 0.01, 0.125, 0.25, 0.5]),
}
METHODS = pytest.mark.parametrize("method", [Breadcrumbs, BreadcrumbsTies])
SHAPES = {"a": [2, 3], "scalar": [], "nothing": [0, 4], "one": [1], "b": [4]}
ENTRY = st.integers(-24, 24).map(lambda n: n / 8)
TAU = st.lists(st.lists(ENTRY, min_size=12, max_size=12), min_size=1, max_size=4)


def masked(tau, given, density, gamma):
    borders = cuts(given)
    return [
        [
            value
            for start, stop in itertools.pairwise(borders)
            for value in naive_sparsifying.banded(row[start:stop], density, gamma)
        ]
        for row in tau
    ]


@settings(deadline=None, max_examples=200)
@given_that(tau=TAU, **SHARES)
def test_it_is_the_sum_of_the_masked(tau, density, gamma):
    given = given_rows(tau, SHAPES)
    expected = naive_formulas.summed(masked(tau, given, density, gamma))
    assert Breadcrumbs(density=density, gamma=gamma).merge(given).tolist() == expected


@settings(deadline=None, max_examples=200)
@given_that(tau=TAU, merge_function=st.sampled_from(["mean", "sum"]), **SHARES)
def test_with_ties_the_masked_elect_a_sign(tau, merge_function, density, gamma):
    given = given_rows(tau, SHAPES)
    expected = naive_sparsifying.elected(
        masked(tau, given, density, gamma), mean=merge_function == "mean"
    )
    method = BreadcrumbsTies(density=density, gamma=gamma, merge_function=merge_function)
    assert method.merge(given).tolist() == pytest.approx(expected, rel=1e-6)


def test_outliers_and_small_entries_go():
    tau = [[10.0, 5.0, -4.0, 3.0, 1.0, 0.5, -0.25, 0.125]]
    found = Breadcrumbs(density=0.375, gamma=0.125).merge(given_rows(tau))
    assert found.tolist() == [0.0, 5.0, -4.0, 3.0, 0.0, 0.0, 0.0, 0.0]


def test_a_small_tensor_keeps_its_largest_entry():
    given = given_rows([[3.0, 2.0, 1.0, 7.0]], {"a": [3], "b": []})
    assert Breadcrumbs().merge(given).tolist() == [3.0, 0.0, 0.0, 7.0]


def test_outliers_give_way_where_there_are_not_enough_entries_to_keep():
    tau = [[4.0, 3.0, 2.0, 1.0]]
    assert Breadcrumbs(density=0.75, gamma=0.5).merge(given_rows(tau)).tolist() == [0, 3, 2, 1]
    assert Breadcrumbs(density=1, gamma=0.5).merge(given_rows(tau)).tolist() == [4, 3, 2, 1]


def test_entries_equal_to_an_end_of_the_band_are_kept():
    tau = [[5.0, -5.0, 5.0, 2.0, -2.0, 1.0, 0.0, 0.0]]
    found = Breadcrumbs(density=0.375, gamma=0.125).merge(given_rows(tau))
    assert found.tolist() == [5.0, -5.0, 5.0, 2.0, -2.0, 0.0, 0.0, 0.0]


def test_the_band_of_a_long_vector_is_exact():
    vector = torch.randn(100_000, generator=torch.Generator().manual_seed(2))
    falling = vector.abs().sort(descending=True).values
    found = band(vector, 0.15, 0.006, scratch=torch.empty(100_000))
    assert found == (float(falling[15_599]), float(falling[600]))
    assert band(vector, 0.15, 0.0, scratch=torch.empty(100_000)) == (
        float(falling[14_999]),
        math.inf,
    )


def test_each_row_has_a_band_of_its_own():
    vectors = torch.tensor([[1.0, -2.0, 3.0, 0.0, -4.0]]).repeat(3, 1)
    bands = [(2.0, 3.0), (0.0, math.inf), (4.0, math.inf)]
    assert within(vectors, bands, out=torch.empty(3, 5)).tolist() == [
        [0.0, -2.0, 3.0, 0.0, 0.0],
        [1.0, -2.0, 3.0, 0.0, -4.0],
        [0.0, 0.0, 0.0, 0.0, -4.0],
    ]


@settings(deadline=None)
@given_that(tau=rows())
def test_without_outliers_it_trims_as_ties_does(tau):
    given = given_rows(tau)
    fields = {"density": 0.5, "merge_function": "mean"}
    found = BreadcrumbsTies(gamma=0, **fields).merge(given)
    assert torch.equal(found, Ties(scope="tensor", **fields).merge(given))


@settings(deadline=None)
@given_that(tau=rows())
def test_keeping_everything_is_task_arithmetic(tau):
    given = given_rows(tau)
    found = Breadcrumbs(density=1, gamma=0.25).merge(given)
    assert torch.equal(found, TaskArithmetic().merge(given))


@METHODS
@settings(deadline=None)
@given_that(tau=rows(), order=st.randoms())
def test_order_sign_and_size_of_all_vectors_pass_through(method, tau, order):
    instance = method(density=0.5, gamma=0.25)
    result = instance.merge(given_rows(tau))
    shuffled = tau[:]
    order.shuffle(shuffled)
    assert torch.equal(instance.merge(given_rows(shuffled)), result)
    negated = [[-4 * value for value in row] for row in tau]
    assert torch.equal(instance.merge(given_rows(negated)), -4 * result)


@METHODS
def test_chunks_do_not_show(method, monkeypatch):
    tau = torch.randn(3, 1_001, generator=torch.Generator().manual_seed(0)).tolist()
    whole = method().merge(given_rows(tau))
    monkeypatch.setattr(chunks, "_BLOCK", 48)  # sixteen entries of three tasks
    assert torch.equal(method().merge(given_rows(tau)), whole)


@METHODS
@pytest.mark.parametrize("fields", [{"density": 0}, {"density": 1.1}, {"gamma": 1}, {"gamma": -1}])
def test_shares_outside_their_range_are_refused(method, fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        method(**fields)
