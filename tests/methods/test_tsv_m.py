"""TSV-Merge against its formula, its conventions, and how it turns with its inputs."""

import naive_spectral
import numpy as np
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from small_inputs import given_rows
from test_spectra import of_rank, randn

from taskmark.methods.tsv_m import TsvM, orthogonal_sum

TASKS, SIZES, SEEDS = st.integers(1, 5), st.integers(1, 9), st.integers(0, 99)


@settings(deadline=None, max_examples=100)
@given_that(n_tasks=TASKS, rows=SIZES, columns=SIZES, seed=SEEDS)
def test_it_is_the_formula(n_tasks, rows, columns, seed):
    matrices = randn(n_tasks, rows, columns, seed=seed)
    expected = naive_spectral.tsv_m(list(matrices.double().numpy()))
    assert orthogonal_sum(matrices).numpy() == pytest.approx(expected, abs=1e-4)


@settings(deadline=None)
@given_that(rows=SIZES, columns=SIZES, seed=SEEDS)
def test_a_single_task_is_that_expert(rows, columns, seed):
    matrix = randn(1, rows, columns, seed=seed)
    assert torch.allclose(orthogonal_sum(matrix), matrix[0].double(), atol=1e-5)


def test_tasks_in_orthogonal_spaces_keep_their_leading_components():
    first, second = torch.zeros(4, 4), torch.zeros(4, 4)
    first[0, 1], first[1, 0] = 5.0, -4.0
    second[2, 2], second[3, 3] = 3.0, 2.0
    assert torch.allclose(orthogonal_sum(torch.stack([first, second])).float(), first + second)


def test_what_is_beyond_the_share_of_a_task_is_dropped():
    tau = [torch.diag(torch.tensor(values)) for values in ([9.0, 3.0, 0.0], [0.0, 1.0, 8.0])]
    expected = torch.diag(torch.tensor([9.0, 0.0, 8.0]))  # one component each, of rank 3
    assert torch.allclose(orthogonal_sum(torch.stack(tau)).float(), expected)


def test_a_direction_that_two_tasks_share_is_given_half_to_each():
    # U = V = [e, e]: D = sqrt(2), polar factor [e, e] / sqrt(2), product e (6 + 2) / 2 e^T.
    tau = torch.zeros(2, 2, 2)
    tau[0, 0, 0], tau[1, 0, 0] = 6.0, 2.0
    assert orthogonal_sum(tau).tolist() == [[pytest.approx(4.0), 0.0], [0.0, 0.0]]


def test_a_task_without_change_takes_no_part():
    tau = torch.zeros(2, 4, 4)
    tau[0] = of_rank(4, 4, 2)
    assert torch.allclose(orthogonal_sum(tau), tau[0].double(), atol=1e-6)


def test_a_matrix_with_less_rows_than_tasks_does_not_vanish():
    tau = torch.tensor([[[3.0, 0.0]], [[0.0, 4.0]]])
    # U = [1, 1] with the polar factor [1, 1] / sqrt(2), V = I.
    expected = [[3 / np.sqrt(2), 4 / np.sqrt(2)]]
    assert orthogonal_sum(tau).numpy() == pytest.approx(np.array(expected))


@settings(deadline=None)
@given_that(seed=SEEDS, order=st.permutations(range(3)))
def test_rotations_order_sign_and_size_pass_through(seed, order):
    tau = randn(3, 6, 7, seed=seed).double()
    left = torch.linalg.qr(randn(6, 6, seed=seed + 1).double())[0]
    right = torch.linalg.qr(randn(7, 7, seed=seed + 2).double())[0]
    turned = orthogonal_sum(-2 * left @ tau[list(order)] @ right)
    assert torch.allclose(turned, -2 * left @ orthogonal_sum(tau) @ right, atol=1e-6)


def test_nearly_dependent_bases_are_made_orthogonal():
    tau = randn(2, 12, 12).double()
    tau[1] = tau[0] + 1e-3 * randn(12, 12, seed=5).double()
    expected = naive_spectral.tsv_m(list(tau.numpy()))
    assert orthogonal_sum(tau).numpy() == pytest.approx(expected, abs=1e-5)


def test_vectors_gains_and_convolutions_are_averaged():
    tau = [[1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 1.0, 0.0]]
    merged = TsvM().merge(given_rows(tau, {"bias": [3], "scale": []}))
    assert merged.tolist() == [2.0, 2.0, 2.0, 2.0]


def test_the_facts_are_the_papers():
    assert TsvM.scale_range == (0.1, 3.0)
    assert TsvM().hyperparameters() == {}
