"""Model Stock against its formula, by hand, and its conventions."""

import itertools

import naive_spectral
import numpy as np
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from small_inputs import cuts, given_rows, rows

from taskmark.methods import model_stock as module
from taskmark.methods.model_stock import ModelStock, gram, interpolation_ratio, mean_cosine


def merged(tau, shapes=None):
    return ModelStock().merge(given_rows(tau, shapes)).tolist()


@settings(deadline=None, max_examples=200)
@given_that(tau=rows())
def test_it_is_the_formula(tau):
    expected = naive_spectral.model_stock([np.array(row) for row in tau])
    assert merged(tau) == pytest.approx(expected.tolist(), abs=1e-5)


@settings(deadline=None, max_examples=100)
@given_that(data=st.data())
def test_every_tensor_has_a_ratio_of_its_own(data):
    shapes = {"a": [2, 3], "scalar": [], "nothing": [0, 4], "one": [1], "b": [2, 1, 2, 1]}
    entry = st.integers(-24, 24).map(lambda n: n / 8)
    tau = data.draw(st.lists(st.lists(entry, min_size=12, max_size=12), min_size=1, max_size=4))
    edges = cuts(given_rows(tau, shapes))
    expected = np.concatenate(
        [
            naive_spectral.model_stock([np.array(row[start:stop]) for row in tau])
            for start, stop in itertools.pairwise(edges)
        ]
    )
    assert merged(tau, shapes) == pytest.approx(expected.tolist(), abs=1e-5)


def test_equal_experts_are_kept_and_orthogonal_ones_dropped():
    assert merged([[3.0, 4.0]] * 3) == pytest.approx([3.0, 4.0])
    assert merged([[3.0, 0.0], [0.0, 4.0]]) == [0.0, 0.0]


def test_a_cosine_of_a_half_by_hand():
    # t = 2 * 0.5 / 1.5 = 2/3 of the mean [3, 1, 1].
    assert merged([[2.0, 2.0, 0.0], [4.0, 0.0, 4.0]]) == pytest.approx([2.0, 2 / 3, 4 / 3])


def test_cosines_are_averaged_over_the_pairs():
    # Cosines 1, 0 and 0: c = 1/3, t = 1 / (5/3) = 0.6 of the mean [2, 1].
    assert merged([[2.0, 0.0], [4.0, 0.0], [0.0, 3.0]]) == pytest.approx([1.2, 0.6])


def test_a_negative_cosine_stays_at_the_pretrained_model():
    assert merged([[3.0, 1.0], [-1.0, 1.0]]) == [0.0, 0.0]


def test_a_zero_vector_has_no_angle():
    # c = 1/3 of three pairs, of which two are with the zero.
    assert merged([[3.0], [3.0], [0.0]]) == pytest.approx([0.6 * 2])


def test_a_single_expert_is_kept():
    assert merged([[3.0, -4.0]]) == [3.0, -4.0]


@given_that(cosine=st.floats(-1, 1), n_tasks=st.integers(2, 20))
def test_the_ratio_is_a_share(cosine, n_tasks):
    assert 0 <= interpolation_ratio(cosine, n_tasks) <= 1 + 1e-12


@settings(deadline=None)
@given_that(tau=rows(), order=st.randoms())
def test_order_sign_and_size_pass_through(tau, order):
    result = merged(tau)
    shuffled = tau[:]
    order.shuffle(shuffled)
    assert merged(shuffled) == pytest.approx(result, abs=1e-6)
    negated = [[-4 * value for value in row] for row in tau]
    assert merged(negated) == [-4 * value for value in result]


def test_very_small_and_very_large_vectors_have_their_angle():
    for size in (1e-30, 1e30):
        vectors = size * torch.tensor([[3.0, 4.0], [4.0, 3.0]])
        assert mean_cosine(gram(vectors)) == pytest.approx(24 / 25)


def test_blocks_do_not_show(monkeypatch):
    tau = torch.randn(3, 1_000, generator=torch.Generator().manual_seed(0)).tolist()
    whole = merged(tau)
    monkeypatch.setattr(module, "_COLUMNS", 7)
    assert merged(tau) == pytest.approx(whole, rel=1e-6)


def test_it_searches_no_scale():
    assert ModelStock.scale_range is None
    assert ModelStock().hyperparameters() == {}
