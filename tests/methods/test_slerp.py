"""SLERP against Shoemake's formula and the Karcher mean, and what has no mean direction."""

import math

import naive_sparsifying
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from small_inputs import given_rows, rows

from taskmark.methods import chunks
from taskmark.methods.slerp import Slerp, spherical_mean
from taskmark.methods.weight_averaging import WeightAveraging


def experts(given):
    return (given.pretrained + given.task_vectors).double()


def merged_model(given):
    return given.pretrained + Slerp().merge(given)


def near(n_tasks, size, *, apart, seed):
    """Unit vectors around one direction."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(size, generator=generator, dtype=torch.float64)
    noise = torch.randn(n_tasks, size, generator=generator, dtype=torch.float64)
    points = centre / centre.norm() + apart * noise / noise.norm(dim=1, keepdim=True)
    return points / points.norm(dim=1, keepdim=True)


@settings(deadline=None)
@given_that(seed=st.integers(0, 10_000), apart=st.sampled_from([0.01, 0.3, 3.0]))
def test_of_two_it_is_the_middle_of_the_arc(seed, apart):
    tau = apart * torch.randn(2, 5, generator=torch.Generator().manual_seed(seed))
    given = given_rows(tau.tolist())
    one, other = experts(given).tolist()
    expected = naive_sparsifying.slerp(one, other, 0.5)
    if math.hypot(*expected) > max(math.hypot(*one), math.hypot(*other)):
        expected = [(a + b) / 2 for a, b in zip(one, other, strict=True)]
    assert merged_model(given).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("apart", [1e-3, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("n_tasks", [2, 3, 8])
def test_of_many_it_is_the_karcher_mean(n_tasks, apart):
    points = near(n_tasks, 6, apart=apart, seed=n_tasks)
    found = spherical_mean(points @ points.T) @ points
    expected = naive_sparsifying.karcher_mean(points.tolist())
    assert found.tolist() == pytest.approx(expected, abs=1e-7)
    assert float(found.norm()) == pytest.approx(1)


def test_experts_of_one_norm_keep_it_and_meet_in_their_karcher_mean():
    points = near(4, 9, apart=0.4, seed=1)
    start = torch.linspace(-1, 1, 9)
    given = given_rows((3 * points - start).tolist())
    expected = [3 * value for value in naive_sparsifying.karcher_mean(points.tolist())]
    assert merged_model(given).tolist() == pytest.approx(expected, abs=1e-5)


def test_every_tensor_has_an_angle_of_its_own():
    tau = torch.randn(3, 7, generator=torch.Generator().manual_seed(4))
    given = given_rows(tau.tolist(), {"a": [2, 2], "b": [3]})
    separate = []
    for part in given.space:
        own = experts(given)[:, part.slice]
        separate += (spherical_mean(own @ own.T) @ own).tolist()
    assert merged_model(given).tolist() == pytest.approx(separate, abs=1e-5)


def test_norms_do_not_draw_the_direction_to_the_larger():
    # (4, 0) and (0, 1) meet at 45 degrees as far as directions go: coefficients of 1 / sqrt 2 each.
    points = torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert spherical_mean(points @ points.T).tolist() == pytest.approx([math.sqrt(0.5)] * 2)


@pytest.mark.parametrize(
    "points",
    [
        [[1.0, 0.0], [0.0, 0.0]],  # zero
        [[1.0, 2.0], [-1.0, -2.0]],  # they cancel
        [[2.0], [3.0], [-1.0]],  # one is opposite to the mean
        [[0.0], [0.0]],
    ],
)
def test_what_has_no_mean_direction_is_averaged(points):
    rows = torch.tensor(points, dtype=torch.float64)
    expected = [1 / len(points)] * len(points)
    assert spherical_mean(rows @ rows.T).tolist() == pytest.approx(expected)


def test_experts_along_one_line_are_averaged():
    rows = torch.tensor([[1.0, 2.0], [2.0, 4.0], [6.0, 12.0]], dtype=torch.float64)
    assert spherical_mean(rows @ rows.T).tolist() == pytest.approx([1 / 3] * 3)


def test_close_experts_are_almost_averaged():
    tau = 1e-4 * torch.randn(3, 50, generator=torch.Generator().manual_seed(4))
    given = given_rows(tau.tolist())
    assert torch.allclose(Slerp().merge(given), WeightAveraging().merge(given), atol=1e-7)


@settings(deadline=None)
@given_that(tau=rows(max_tasks=1))
def test_one_task_is_that_expert(tau):
    assert Slerp().merge(given_rows(tau)).tolist() == pytest.approx(tau[0], abs=1e-6)


@settings(deadline=None)
@given_that(tau=rows(), order=st.randoms())
def test_the_order_does_not_matter(tau, order):
    shuffled = tau[:]
    order.shuffle(shuffled)
    found = Slerp().merge(given_rows(tau))
    assert torch.allclose(Slerp().merge(given_rows(shuffled)), found, atol=1e-5)


def test_chunks_do_not_show(monkeypatch):
    tau = torch.randn(3, 1_001, generator=torch.Generator().manual_seed(0)).tolist()
    whole = Slerp().merge(given_rows(tau))
    monkeypatch.setattr(chunks, "_BLOCK", 48)  # sixteen entries of three tasks
    assert torch.allclose(Slerp().merge(given_rows(tau)), whole, atol=1e-6)


def test_there_is_no_coefficient():
    assert Slerp.scale_range is None
    assert Slerp().hyperparameters() == {}


@pytest.mark.parametrize(
    "points",
    [
        [[1.0, 0.2], [-0.6, 0.9], [-0.5, -1.0]],  # coefficients grew to millions
        [[-0.3024, 0.0628], [0.3661, 0.2228], [0.1416, -0.4905]],  # the root of a negative number
    ],
)
def test_directions_all_around_are_averaged(points):
    rows = torch.tensor(points, dtype=torch.float64)
    assert spherical_mean(rows @ rows.T).tolist() == pytest.approx([1 / 3] * 3)


@settings(deadline=None, max_examples=300)
@given_that(
    n_tasks=st.integers(1, 8),
    size=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    far=st.booleans(),
)
def test_the_result_is_no_longer_than_the_longest_expert(n_tasks, size, seed, far):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_tasks, size, generator=generator, dtype=torch.float64)
    if far:
        rows *= torch.logspace(-3, 3, n_tasks, dtype=torch.float64)[:, None]
    found = spherical_mean(rows @ rows.T) @ rows
    assert float(found.norm()) <= float(rows.norm(dim=1).max()) * (1 + 1e-6)


def test_two_directions_that_are_far_apart_are_averaged_where_the_formula_overshoots():
    one, other = torch.tensor([1.0, 0.0]), 0.1 * torch.tensor([math.cos(3.1), math.sin(3.1)])
    points = torch.stack([one, other]).double()
    shoemake = naive_sparsifying.slerp(*points.tolist(), 0.5)
    assert math.hypot(*shoemake) > 10
    assert spherical_mean(points @ points.T).tolist() == pytest.approx([0.5, 0.5])
