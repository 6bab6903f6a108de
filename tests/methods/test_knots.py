"""KnOTS against its formula, and TIES where the two must agree."""

import naive_formulas
import numpy as np
import pytest
import torch
from hypothesis import assume, settings
from hypothesis import given as given_that
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import given_rows, rows
from test_spectra import of_rank, randn

from taskmark.methods import knots as module
from taskmark.methods.knots import Knots
from taskmark.methods.ties import Ties

SHAPES = {"w": [3, 4], "b": [5], "tall": [7, 2]}
SIZE = 31
SEEDS = st.integers(0, 99)
DENSITIES = st.sampled_from([0.2, 0.5, 1.0])


def naive(tau, shapes, *, density, mean):
    """Align each matrix by numpy's SVD of all side by side, run TIES on lists, turn back."""
    bases, aligned, start = [], [[] for _ in tau], 0
    for shape in shapes.values():
        stop = start + int(np.prod(shape))
        matrices = [np.array(row[start:stop]).reshape(shape) for row in tau]
        basis = np.eye(1)
        if len(shape) == 2:
            u, s, _ = np.linalg.svd(np.hstack(matrices), full_matrices=False)
            basis = u[:, s > 1e-5]
        else:
            matrices = [matrix.reshape(1, -1) for matrix in matrices]
        for row, matrix in zip(aligned, matrices, strict=True):
            row.extend((basis.T @ matrix).ravel().tolist())
        bases.append((basis, matrices[0].shape[1]))
        start = stop
    merged = naive_formulas.ties(aligned, [0, len(aligned[0])], density=density, mean=mean)
    result, start = [], 0
    for basis, width in bases:
        stop = start + basis.shape[1] * width
        result.extend((basis @ np.array(merged[start:stop]).reshape(-1, width)).ravel())
        start = stop
    magnitudes = np.sort(np.abs(aligned), axis=1)
    return result, magnitudes


def merged(tau, shapes=None, **fields):
    return Knots(**fields).merge(given_rows(tau, shapes)).tolist()


@settings(deadline=None, max_examples=60)
@given_that(
    n_tasks=st.integers(1, 4),
    seed=SEEDS,
    density=DENSITIES,
    merge_function=st.sampled_from(["mean", "sum"]),
)
def test_it_is_the_formula(n_tasks, seed, density, merge_function):
    tau = randn(n_tasks, SIZE, seed=seed).double().tolist()
    mean = merge_function == "mean"
    expected, magnitudes = naive(tau, SHAPES, density=density, mean=mean)
    length = magnitudes.shape[1]
    kept = max(1, round(density * length))
    if kept < length:  # entries within a bin of the threshold are kept by convention
        below, at = magnitudes[:, length - kept - 1], magnitudes[:, length - kept]
        assume(bool((below < at * (1 - 1e-2)).all()))
    found = merged(tau, SHAPES, density=density, merge_function=merge_function)
    assert found == pytest.approx(expected, abs=1e-4)


@settings(deadline=None, max_examples=100)
@given_that(tau=rows(), density=DENSITIES)
def test_of_what_is_no_matrix_it_is_ties(tau, density):
    given = given_rows(tau)
    found = Knots(density=density).merge(given)
    assert torch.allclose(found, Ties(density=density).merge(given), rtol=1e-6)


@settings(deadline=None)
@given_that(seed=SEEDS)
def test_of_matrices_that_are_aligned_already_it_is_ties(seed):
    # The rows of all side by side are orthogonal and of different norms: U is a permutation.
    tau = torch.zeros(2, 3, 6)
    for row, scale in enumerate((1.0, 3.0, 9.0)):
        tau[:, row, 2 * row : 2 * row + 2] = scale * (1 + torch.rand(2, 2) * 0.1)
    tau *= torch.randn(2, 1, 6, generator=torch.Generator().manual_seed(seed)).sign()
    given = given_rows(tau.flatten(1).tolist(), {"w": [3, 6]})
    found = Knots(density=1.0).merge(given)
    assert torch.allclose(found, Ties(density=1.0).merge(given), atol=1e-5)


@settings(deadline=None)
@given_that(seed=SEEDS, rank=st.integers(1, 5))
def test_one_task_at_full_density_is_that_expert(seed, rank):
    matrix = of_rank(5, 6, rank, seed)
    found = merged([matrix.flatten().tolist()], {"w": [5, 6]}, density=1.0)
    assert found == pytest.approx(matrix.flatten().tolist(), abs=1e-5)


@settings(deadline=None)
@given_that(seed=SEEDS)
def test_rotations_of_the_outputs_pass_through(seed):
    tau = randn(3, 4, 6, seed=seed)
    rotation = torch.linalg.qr(randn(4, 4, seed=seed + 1))[0]
    plain, turned = (
        Knots(density=1.0).merge(given_rows(matrices.flatten(1).tolist(), {"w": [4, 6]}))
        for matrices in (tau, rotation @ tau)
    )
    assert torch.allclose(turned.view(4, 6), rotation @ plain.view(4, 6), atol=1e-4)


@settings(deadline=None)
@given_that(seed=SEEDS, order=st.permutations(range(3)))
def test_order_sign_and_size_pass_through(seed, order):
    tau = randn(3, SIZE, seed=seed)
    result = merged(tau.tolist(), SHAPES, density=1.0)
    turned = merged((-4 * tau[list(order)]).tolist(), SHAPES, density=1.0)
    assert turned == pytest.approx([-4 * value for value in result], abs=1e-4)


def test_trimming_is_over_all_tensors_together():
    # Of five aligned entries two are kept: 8 of the matrix, and 6 of the bias.
    tau = [[0.0, 8.0, 1.0, 0.0, 2.0, 6.0, 3.0]]
    shapes = {"w": [2, 2], "b": [3]}
    assert merged(tau, shapes, density=0.3) == pytest.approx([0, 8, 0, 0, 0, 6, 0])


def test_conflicts_are_resolved_in_the_shared_basis():
    # Both tasks write along (1, 1), one with 2 and 4, the other with -1 and 6.
    direction = np.array([[1.0], [1.0]]) / np.sqrt(2)
    tau = [(direction @ np.array([row])).ravel().tolist() for row in ([2.0, 4.0], [-1.0, 6.0])]
    expected = direction @ np.array([[2.0, 5.0]])
    found = merged(tau, {"w": [2, 2]}, density=1.0)
    assert found == pytest.approx(expected.ravel().tolist())


def test_blocks_do_not_show(monkeypatch):
    tau = randn(3, SIZE).tolist()
    whole = merged(tau, SHAPES)
    monkeypatch.setattr(module, "_COLUMNS", 3)
    monkeypatch.setattr(module, "_ENTRIES", 1)
    assert merged(tau, SHAPES) == pytest.approx(whole, abs=1e-6)


def test_the_defaults_are_the_papers():
    assert Knots().hyperparameters() == {"density": 0.2, "merge_function": "mean"}
    assert Knots.scale_range == (0.0, 2.0)


@pytest.mark.parametrize("fields", [{"density": 0}, {"density": 1.1}, {"merge_function": "max"}])
def test_fields_outside_their_range_are_refused(fields):
    with pytest.raises(ValidationError):
        Knots(**fields)
