"""Adapters that were folded into weights: what rounding added to them is no direction of theirs."""

import logging

import pytest
import torch

from taskmark import Given, WeightSpace
from taskmark.methods import get
from taskmark.methods.spectra import storage_levels, thin_svd

SPECTRAL = ("iso_c", "iso_cts", "tsv_m", "subspace_boosting", "knots")


def randn(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def adapters(size, rank, n_tasks, length):
    """Changes of low rank, of the same Frobenius norm."""
    products = [randn(size, rank, seed=t) @ randn(rank, size, seed=100 + t) for t in range(n_tasks)]
    return torch.stack([length * product / product.norm() for product in products])


def folded(theta0, changes, dtype):
    base = theta0.to(dtype)
    return Given.of_models({"w": base}, [{"w": (base.double() + own).to(dtype)} for own in changes])


def apart(theta0, changes):
    space = WeightSpace.of({"w": theta0})
    return Given.of_weights(theta0.float().flatten(), changes.float().flatten(1), space)


def cosine(one, other):
    one, other = one.double().flatten(), other.double().flatten()
    return float(one @ other / (one.norm() * other.norm()))


@pytest.mark.parametrize("name", [*SPECTRAL, "wudi_exact"])
@pytest.mark.parametrize(
    ("dtype", "share"),
    [(torch.float32, 1 / 50), (torch.float32, 1 / 500), (torch.float16, 1 / 50)],
)
def test_folded_adapters_are_merged_as_the_adapters_themselves(name, dtype, share):
    theta0 = 0.05 * randn(96, 96, seed=7)
    changes = adapters(96, 4, 3, share * float(theta0.norm()))
    found = get(name)().merge(folded(theta0, changes, dtype))
    assert cosine(found, get(name)().merge(apart(theta0, changes))) >= 0.99


@pytest.mark.parametrize("name", ["iso_c", "iso_cts", "tsv_m", "subspace_boosting"])
def test_one_expert_of_rank_one_is_that_expert(name):
    theta0 = (0.05 * randn(64, 64, seed=1)).float()
    change = 1e-4 * torch.outer(randn(64, seed=2), randn(64, seed=3))
    given = folded(theta0, change[None], torch.float32)
    assert cosine(get(name)().merge(given), change) >= 0.999


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(96, 96), (30, 200), (400, 20)])
def test_the_level_is_above_rounding_and_not_far_above_it(dtype, shape):
    theta0 = (0.05 * randn(*shape, seed=5)).to(dtype)
    exact = theta0.double() + 1e-3 * randn(*shape, seed=6)
    error = exact.to(dtype).double() - exact
    given = Given.of_models({"w": theta0}, [{"w": exact.to(dtype)}])
    (level,) = storage_levels(given, next(iter(given.space)))
    largest = float(torch.linalg.matrix_norm(error, 2))
    assert 1.5 * largest < level < 5 * largest


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([torch.float32] * 3, 2.0**-24),
        ([torch.float64] * 3, 2.0**-24),  # flat vectors are float32
        ([torch.float32, torch.float16, torch.float32], 2.0**-11),
        ([torch.bfloat16, torch.float32, torch.float32], 2.0**-8),
    ],
)
def test_the_coarsest_dtype_tells_the_precision(kinds, expected):
    base, *experts = ({"w": torch.ones(2, 2, dtype=kind)} for kind in kinds)
    assert Given.of_models(base, experts).precision == expected


@pytest.mark.parametrize("size", [1e-2, 1e-3])
def test_the_level_takes_nothing_from_experts_of_full_rank_in_float32(size):
    """Task vectors as fine-tuning leaves them: all directions are far above rounding."""
    theta0, tau = 0.05 * randn(64, 192, seed=3), size * randn(4, 64, 192, seed=4)
    given = folded(theta0, tau, torch.float32)
    part = next(iter(given.space))
    for row, level in zip(given.task_vectors, storage_levels(given, part), strict=True):
        matrix = row.view(part.shape)
        with_level, without = thin_svd(matrix, noise=level), thin_svd(matrix)
        assert len(without.values) == 64
        assert float(without.values[-1]) > 100 * level
        assert torch.equal(with_level.left, without.left)
        assert torch.equal(with_level.right, without.right)


@pytest.mark.parametrize("name", [*SPECTRAL, "subspace_boosting_ties", "wudi_exact"])
def test_at_full_rank_results_are_equal_bit_by_bit_with_and_without_the_level(name):
    theta0, tau = 0.05 * randn(64, 96, seed=3), 1e-3 * randn(3, 64, 96, seed=4)
    given = folded(theta0, tau, torch.float32)
    found = get(name)().merge(given)
    given.precision = 0.0
    assert torch.equal(found, get(name)().merge(given))


def test_a_direction_that_two_folded_experts_share_is_one():
    theta0 = 0.05 * randn(64, 64, seed=1)
    shared = adapters(64, 2, 1, 0.02 * float(theta0.norm()))[0]
    changes = torch.stack([shared, 0.5 * shared])
    found = get("tsv_m")().merge(folded(theta0, changes, torch.float16))
    assert cosine(found, get("tsv_m")().merge(apart(theta0, changes))) >= 0.99


@pytest.mark.parametrize("name", [*SPECTRAL, "subspace_boosting_ties", "wudi_exact"])
@pytest.mark.parametrize(("dtype", "share"), [(torch.float16, 1 / 500), (torch.bfloat16, 1 / 500)])
def test_a_method_that_rounding_may_mislead_says_so(name, dtype, share, caplog):
    theta0 = 0.05 * randn(96, 96, seed=7)
    changes = adapters(96, 4, 3, share * float(theta0.norm()))
    with caplog.at_level(logging.WARNING):
        get(name)().merge(folded(theta0, changes, dtype))
    assert "1 matrices, such as 'w', " in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        get(name)().merge(folded(theta0, changes, torch.float32))
    assert not caplog.text


def test_changes_below_rounding_are_told(caplog):
    theta0 = 0.05 * randn(64, 64, seed=1)
    changes = adapters(64, 2, 2, 1e-3 * float(theta0.norm()))
    with caplog.at_level(logging.WARNING):
        merged = get("iso_c")().merge(folded(theta0, changes, torch.bfloat16))
    assert not merged.any()
    assert "1 matrices, such as 'w', cannot be told from the rounding" in caplog.text
