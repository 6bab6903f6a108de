"""Subspace boosting against its formula, by hand, and what it leaves alone."""

import naive_spectral
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import given_rows
from test_spectra import of_rank, randn

from taskmark.methods.subspace_boosting import SubspaceBoosting, SubspaceBoostingTies, boost
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.ties import Ties

SIZES, SEEDS = st.integers(1, 9), st.integers(0, 99)
METHODS = [SubspaceBoosting, SubspaceBoostingTies]
SHAPES = {"w": [2, 2], "b": [2]}
TAU = [[3.0, 0.0, 0.0, 1.0, 2.0, -1.0], [2.0, 0.0, 0.0, 1.0, 4.0, -3.0]]


@settings(deadline=None, max_examples=100)
@given_that(rows=SIZES, columns=SIZES, seed=SEEDS, beta=st.sampled_from([0.0, 0.01, 0.3, 0.7, 1.0]))
def test_it_is_the_formula(rows, columns, seed, beta):
    matrix = randn(rows, columns, seed=seed)
    expected = naive_spectral.boosted(matrix.double().numpy(), beta)
    assert boost(matrix, beta=beta).numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("beta", "values"),
    [
        (0.0, [4.0, 4.0, 4.0, 4.0]),
        (0.4, [4.0, 4.0, 4.0, 4.0]),  # 4 of 10 are reached by the first
        (0.41, [4.0, 3.0, 3.0, 3.0]),
        (0.8, [4.0, 3.0, 2.0, 2.0]),
        (1.0, [4.0, 3.0, 2.0, 1.0]),
    ],
)
def test_the_cut_by_hand(beta, values):
    matrix = torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0])).flip(0)
    expected = torch.diag(torch.tensor(values)).flip(0)
    assert torch.allclose(boost(matrix, beta=beta).float(), expected)


@settings(deadline=None)
@given_that(rank=SIZES, seed=SEEDS)
def test_beta_one_changes_nothing_and_no_beta_raises_the_rank(rank, seed):
    matrix = of_rank(6, 9, rank, seed)
    assert torch.allclose(boost(matrix, beta=1.0), matrix.double(), atol=1e-5)
    values = torch.linalg.svdvals(boost(matrix, beta=0.01))
    kept = min(rank, 6)
    assert values[kept:].tolist() == pytest.approx([0.0] * (6 - kept), abs=1e-9)
    assert values[:kept].min() > 0.1 * values[0]


@settings(deadline=None)
@given_that(seed=SEEDS, beta=st.sampled_from([0.01, 0.5]))
def test_rotations_sign_and_size_pass_through(seed, beta):
    matrix = randn(6, 7, seed=seed).double()
    left = torch.linalg.qr(randn(6, 6, seed=seed + 1).double())[0]
    right = torch.linalg.qr(randn(7, 7, seed=seed + 2).double())[0]
    turned = boost(-2 * left @ matrix @ right, beta=beta)
    assert torch.allclose(turned, -2 * left @ boost(matrix, beta=beta) @ right, atol=1e-6)


def test_the_sum_is_boosted_and_what_is_no_matrix_stays_a_sum():
    merged = SubspaceBoosting().merge(given_rows(TAU, SHAPES))
    assert merged.tolist() == pytest.approx([5.0, 0.0, 0.0, 5.0, 6.0, -4.0])


def test_the_merge_of_ties_is_boosted_and_what_is_no_matrix_stays():
    given = given_rows(TAU, SHAPES)
    plain = Ties(density=0.5).merge(given)
    assert plain.tolist() == [2.5, 0.0, 0.0, 1.0, 3.0, -2.0]
    merged = SubspaceBoostingTies(density=0.5).merge(given)
    assert merged.tolist() == pytest.approx([2.5, 0.0, 0.0, 2.5, 3.0, -2.0])


@settings(deadline=None)
@given_that(seed=SEEDS)
def test_with_beta_one_they_are_task_arithmetic_and_ties(seed):
    given = given_rows(randn(3, 14, seed=seed).tolist(), {"w": [3, 4], "b": [2]})
    assert torch.allclose(
        SubspaceBoosting(beta=1).merge(given), TaskArithmetic().merge(given), atol=1e-5
    )
    assert torch.allclose(SubspaceBoostingTies(beta=1).merge(given), Ties().merge(given), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_matrices_of_zeros_stay_zero(method):
    given = given_rows([[0.0] * 6, [0.0] * 6], SHAPES)
    assert method().merge(given).tolist() == [0.0] * 6


def test_the_facts_are_the_papers():
    assert SubspaceBoosting().hyperparameters() == {"beta": 0.01}
    assert SubspaceBoostingTies().hyperparameters() == {"density": 0.2, "beta": 0.01}
    assert SubspaceBoosting.scale_range == (0.0, 1.0)
    assert SubspaceBoostingTies.scale_range == (0.0, 2.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("beta", [-0.01, 1.01])
def test_a_beta_outside_its_range_is_refused(method, beta):
    with pytest.raises(ValidationError):
        method(beta=beta)
