"""The thin decomposition against numpy's, and what counts as a matrix and as zero."""

import numpy as np
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from small_inputs import given_rows

from taskmark.methods.spectra import joint_basis, merge_matrices, rounding_level, thin_svd


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def of_rank(rows, columns, rank, seed=0):
    return randn(rows, rank, seed=seed) @ randn(rank, columns, seed=seed + 1)


def rebuilt(svd):
    return svd.left * svd.values @ svd.right.T


SIZES = st.integers(1, 9)


@settings(deadline=None, max_examples=100)
@given_that(rows=SIZES, columns=SIZES, rank=SIZES, seed=st.integers(0, 99))
def test_it_is_the_singular_value_decomposition(rows, columns, rank, seed):
    matrix = of_rank(rows, columns, rank, seed).double()
    svd = thin_svd(matrix)
    found = np.zeros(min(rows, columns))
    found[: len(svd.values)] = svd.values
    expected = np.linalg.svd(matrix.numpy(), compute_uv=False)
    assert found == pytest.approx(expected, abs=1e-5 * expected[0])
    assert torch.allclose(rebuilt(svd), matrix, atol=1e-5 * float(expected[0]))
    unit = torch.eye(len(svd.values), dtype=torch.float64)
    assert torch.allclose(svd.left.T @ svd.left, unit, atol=1e-9)
    assert torch.allclose(svd.right.T @ svd.right, unit, atol=1e-4)


@settings(deadline=None)
@given_that(rows=SIZES, columns=SIZES, count=SIZES, seed=st.integers(0, 99))
def test_the_leading_components_are_the_first_of_all(rows, columns, count, seed):
    matrix = randn(rows, columns, seed=seed)
    few, every = thin_svd(matrix, count), thin_svd(matrix)
    kept = len(few.values)
    assert kept == min(count, len(every.values))
    assert torch.allclose(few.values, every.values[:kept], rtol=1e-9)
    best = every.left[:, :kept] * every.values[:kept] @ every.right[:, :kept].T
    assert torch.allclose(rebuilt(few), best, atol=1e-6)


def test_no_components_can_be_asked_for():
    assert thin_svd(randn(3, 4), 0).left.shape == (3, 0)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (0, 3), (3, 0), (0, 0)])
def test_a_matrix_of_zeros_or_without_entries_has_no_components(shape):
    svd = thin_svd(torch.zeros(shape), 2)
    assert (svd.left.shape, svd.values.shape, svd.right.shape) == (
        (shape[0], 0),
        (0,),
        (shape[1], 0),
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_rank_of_rounded_weights_is_theirs_before_rounding(scale):
    matrix = (scale * of_rank(40, 60, 7).double()).float()
    assert np.linalg.matrix_rank(matrix.double().numpy()) == 40
    assert len(thin_svd(matrix).values) == 7


def test_a_small_singular_value_is_found_as_well_as_float32_can_hold_it():
    left, right = (
        torch.linalg.qr(randn(50, 50).double())[0],
        torch.linalg.qr(randn(60, 50).double())[0],
    )
    values = torch.logspace(0, -5, 50, dtype=torch.float64)
    exact = thin_svd(left * values @ right.T, zero=0.0)
    assert torch.allclose(exact.values, values, rtol=1e-5)
    single = torch.linalg.svdvals((left * values @ right.T).float())
    assert (exact.values / values - 1).abs().max() < (single / values - 1).abs().max()


@pytest.mark.parametrize("count", [1, 3, 5, 6, None])
def test_equal_singular_values_give_an_orthonormal_basis(count):
    matrix = 3 * torch.linalg.qr(randn(8, 6))[0]
    svd = thin_svd(matrix, count)
    assert svd.values.tolist() == pytest.approx([3.0] * (count or 6), rel=1e-6)
    assert torch.allclose(svd.left.T @ svd.left, torch.eye(count or 6).double(), atol=1e-6)


def test_strides_do_not_matter_and_nothing_is_written_to():
    wide = randn(6, 1300)
    before = wide.clone()
    for view in (wide[:, ::2], wide.T[::3], wide.bfloat16().float()[::2]):
        copied = thin_svd(view.clone().contiguous())
        assert torch.allclose(thin_svd(view).values, copied.values, rtol=1e-12)
    assert torch.equal(wide, before)


def test_columns_in_blocks_make_no_difference():
    matrix = randn(7, 1_200)  # three blocks
    assert torch.allclose(rebuilt(thin_svd(matrix)), matrix.double(), atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 9, 2), (1, 5, 5)])
def test_the_joint_basis_is_that_of_the_matrices_side_by_side(shape):
    matrices = randn(*shape)
    side_by_side = thin_svd(torch.cat(list(matrices), 1)).left
    basis = joint_basis(matrices)
    assert basis.shape == side_by_side.shape
    assert torch.allclose(
        (basis.T @ side_by_side).abs(), torch.eye(basis.shape[1]).double(), atol=1e-6
    )


def test_the_joint_basis_leaves_out_what_is_zero():
    matrices = torch.stack([of_rank(6, 5, 2), torch.zeros(6, 5)])
    assert joint_basis(matrices).shape == (6, 2)
    assert joint_basis(torch.zeros(2, 3, 4)).shape == (3, 0)


def test_the_rounding_level_is_that_of_the_norm():
    assert rounding_level(torch.tensor([[3.0, 4.0]])) == pytest.approx(5 * 2.0**-23)


def test_matrices_are_merged_by_the_rule_and_all_else_is_averaged():
    shapes = {"w": [2, 2], "b": [2], "conv": [2, 1, 1, 1], "none": [0, 3], "s": [], "one": [1, 1]}
    tau = [[1.0] * 10, [3.0] * 10]
    merged = merge_matrices(given_rows(tau, shapes), lambda matrices, _: 10 * matrices.sum(0))
    assert merged.tolist() == [40.0] * 4 + [2.0] * 5 + [40.0]
