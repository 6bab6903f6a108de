"""Iso-C and Iso-CTS against their formulas, what they keep, and what they reduce to."""

import naive_spectral
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import given_rows
from test_spectra import of_rank, randn

from taskmark.methods.iso import IsoC, IsoCts, isotropic_sum, isotropic_union, subspace_sizes

TASKS, SIZES, SEEDS = st.integers(1, 5), st.integers(1, 9), st.integers(0, 99)


def rotation(size, seed):
    return torch.linalg.qr(randn(size, size, seed=seed).double())[0]


@settings(deadline=None, max_examples=100)
@given_that(n_tasks=TASKS, rows=SIZES, columns=SIZES, seed=SEEDS)
def test_iso_c_is_the_formula(n_tasks, rows, columns, seed):
    matrices = randn(n_tasks, rows, columns, seed=seed)
    expected = naive_spectral.iso_c(list(matrices.double().numpy()))
    assert isotropic_sum(matrices).numpy() == pytest.approx(expected, abs=1e-4)


@settings(deadline=None, max_examples=100)
@given_that(
    n_tasks=TASKS, rows=SIZES, columns=SIZES, seed=SEEDS, fraction=st.sampled_from([0, 0.5, 0.8, 1])
)
def test_iso_cts_is_the_formula(n_tasks, rows, columns, seed, fraction):
    matrices = randn(n_tasks, rows, columns, seed=seed)
    expected = naive_spectral.iso_cts(list(matrices.double().numpy()), fraction)
    assert isotropic_union(matrices, fraction).numpy() == pytest.approx(expected, abs=1e-4)


@settings(deadline=None)
@given_that(rank=SIZES, seed=SEEDS)
def test_iso_c_keeps_the_nuclear_norm_of_one_task_and_makes_its_singular_values_equal(rank, seed):
    matrix = of_rank(6, 9, rank, seed)
    merged = torch.linalg.svdvals(isotropic_sum(matrix[None]))
    assert float(merged.sum()) == pytest.approx(float(torch.linalg.svdvals(matrix).sum()), rel=1e-4)
    kept = min(rank, 6)
    assert merged[:kept].tolist() == pytest.approx([float(merged[0])] * kept)
    assert merged[kept:].tolist() == pytest.approx([0.0] * (6 - kept), abs=1e-9)


@settings(deadline=None)
@given_that(seed=SEEDS, fraction=st.sampled_from([0, 0.5, 0.8, 1]))
def test_iso_cts_of_one_task_is_iso_c(seed, fraction):
    matrix = randn(1, 6, 8, seed=seed)
    assert torch.allclose(isotropic_union(matrix, fraction), isotropic_sum(matrix), atol=1e-6)


@settings(deadline=None)
@given_that(seed=SEEDS)
def test_iso_cts_that_leaves_all_to_the_common_space_is_iso_c(seed):
    matrices = randn(3, 6, 8, seed=seed)
    assert torch.allclose(isotropic_union(matrices, 1.0), isotropic_sum(matrices), atol=1e-6)


@pytest.mark.parametrize("merge", [isotropic_sum, lambda tau: isotropic_union(tau, 0.5)])
@settings(deadline=None)
@given_that(seed=SEEDS, order=st.permutations(range(3)))
def test_rotations_order_sign_and_size_pass_through(merge, seed, order):
    tau = randn(3, 6, 7, seed=seed).double()
    left, right = rotation(6, seed + 1), rotation(7, seed + 2)
    turned = merge(-2 * left @ tau[list(order)] @ right)
    assert torch.allclose(turned, -2 * left @ merge(tau) @ right, atol=1e-5)


def test_iso_c_by_hand():
    tau = torch.tensor([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 4.0], [1.0, 0.0]]])
    # The sum [[0, 5], [2, 0]] has the singular values 5 and 2.
    assert torch.allclose(isotropic_sum(tau).float(), torch.tensor([[0.0, 3.5], [3.5, 0.0]]))


def test_iso_cts_by_hand():
    # k = 2 of 4 are common: e0 with 9 + 7, e1 with 8. Beside them 3 e2 and 5 e3 are tasks' own.
    tau = [torch.diag(torch.tensor(d)) for d in ([9.0, 8.0, 3.0, 0.0], [7.0, 0.0, 0.0, 5.0])]
    assert subspace_sizes(4, 2, 0.5) == (1, 2)
    merged = isotropic_union(torch.stack(tau), 0.5)
    assert torch.allclose(merged.float(), torch.eye(4) * (16 + 8 + 3 + 5) / 4)


def test_iso_cts_of_two_equal_tasks_takes_their_own_direction_once():
    tau = torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0])).expand(2, 4, 4)
    # Common 8 and 6; each task's own is 2 in the same direction, of which the polar factors give a
    # projection. The mean is over the four components.
    merged = isotropic_union(tau, 0.5)
    assert torch.allclose(merged.float(), torch.diag(torch.tensor([4.5, 4.5, 4.5, 0.0])))


def test_rounding_errors_beside_a_full_common_space_are_no_directions():
    tau = of_rank(8, 8, 2).expand(2, 8, 8)
    merged = torch.linalg.svdvals(isotropic_union(tau, 0.5))
    assert merged[2:].tolist() == pytest.approx([0.0] * 6, abs=1e-9)


@pytest.mark.parametrize(
    ("rank", "n_tasks", "fraction", "sizes"),
    [
        (192, 8, 0.8, (5, 152)),  # 39 / 8 = 4.875
        (768, 8, 0.8, (19, 616)),  # 154 / 8 = 19.25
        (768, 20, 0.8, (8, 608)),  # 154 / 20 = 7.7
        (4, 3, 0.8, (0, 4)),
        (5, 3, 0.0, (1, 2)),  # 5 / 3 is nearer to 2, for which there is no room
        (1, 1, 0.8, (1, 0)),
    ],
)
def test_the_components_are_shared_out(rank, n_tasks, fraction, sizes):
    assert subspace_sizes(rank, n_tasks, fraction) == sizes


@pytest.mark.parametrize("method", [IsoC, IsoCts])
def test_zeros_stay_zero_and_vectors_are_averaged(method):
    shapes = {"w": [2, 3], "b": [2]}
    tau = [[0.0] * 6 + [1.0, 2.0], [0.0] * 6 + [3.0, 4.0]]
    assert method().merge(given_rows(tau, shapes)).tolist() == [0.0] * 6 + [2.0, 3.0]


def test_the_facts_are_the_papers():
    assert IsoC.scale_range == IsoCts.scale_range == (0.1, 3.0)
    assert IsoC().hyperparameters() == {}
    assert IsoCts().hyperparameters() == {"common_fraction": 0.8}


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(ValidationError):
        IsoCts(common_fraction=fraction)
