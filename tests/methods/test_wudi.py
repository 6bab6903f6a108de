"""WUDI against the paper's loss under autograd, its minimum, by hand, and what it reduces to."""

import naive_descents
import pytest
import torch
from pydantic import ValidationError
from small_inputs import given_rows

from taskmark.methods.wudi import Wudi, interference

STEPS = {"learning_rate": 1e-2, "n_steps": 50}


def task_vectors(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def merged(vectors, **fields):
    given = given_rows(vectors.flatten(1).tolist(), {"w": list(vectors.shape[1:])})
    return Wudi(**fields).merge(given).view(vectors.shape[1:])


@pytest.mark.parametrize("shape", [(3, 4, 6), (2, 6, 4), (5, 1, 3), (4, 3, 1)])
def test_the_steps_are_those_of_adam_on_the_papers_loss(shape):
    vectors = task_vectors(*shape)
    expected = naive_descents.wudi(vectors, **STEPS)
    assert torch.allclose(merged(vectors, **STEPS).double(), expected, rtol=1e-4, atol=1e-4)


def test_the_gradient_is_that_of_the_papers_loss():
    vectors = task_vectors(3, 4, 5).double()
    start = vectors.sum(0)
    overlap, pull = interference(vectors, start)
    weight = task_vectors(4, 5, seed=1).double().requires_grad_()
    naive_descents.wudi_loss(weight, vectors).backward()
    found = 2 * ((weight.detach() - start) @ overlap + pull)
    assert torch.allclose(found, weight.grad, rtol=1e-10, atol=1e-12)


def test_the_exact_solver_finds_the_minimum():
    vectors = task_vectors(3, 4, 5).double()
    found = merged(vectors, solver="exact").double().requires_grad_()
    naive_descents.wudi_loss(found, vectors).backward()
    assert found.grad.abs().max() < 1e-4
    worse = naive_descents.wudi_loss(merged(vectors, **STEPS).double(), vectors)
    assert naive_descents.wudi_loss(found, vectors) < worse
    assert worse < naive_descents.wudi_loss(vectors.sum(0), vectors)


def test_the_exact_solver_leaves_open_directions_at_the_sum():
    # No task vector touches the third input: what the sum has there, which is nothing, stays; on
    # the first two, S_1 = diag(1, 0) and S_2 = diag(0.5, 0.5), each divided by its energy.
    vectors = torch.tensor([[[2.0, 0, 0], [0, 0, 0]], [[1.0, 0, 0], [0, 1.0, 0]]])
    # First column: (2 x 1 + 1 x 0.5) / 1.5; second: 1.
    expected = torch.tensor([[5 / 3, 0, 0], [0, 1, 0]])
    assert torch.allclose(merged(vectors, solver="exact"), expected)


def test_the_exact_solver_leaves_directions_at_the_sum_that_rounding_alone_opens():
    # Two task vectors of rank one, as float32 stores them beside weights that are larger.
    pretrained = 0.05 * task_vectors(16, 16).double()
    exact = 0.01 * task_vectors(2, 16, 1, seed=1).double() @ task_vectors(2, 1, 16, seed=2).double()
    stored = (pretrained + exact).float() - pretrained.float()
    overlap, pull = interference(exact, exact.sum(0))
    inverse = torch.linalg.pinv(overlap, rtol=1e-9, hermitian=True)
    expected = exact.sum(0) - pull @ inverse
    assert torch.allclose(merged(stored, solver="exact").double(), expected, atol=1e-6)


def test_task_vectors_that_do_not_interfere_add_up_exactly():
    vectors = torch.zeros(2, 3, 4)
    vectors[0, :, :2], vectors[1, :, 2:] = task_vectors(3, 2), task_vectors(3, 2, seed=1)
    assert torch.equal(merged(vectors, **STEPS), vectors.sum(0))
    assert torch.allclose(merged(vectors, solver="exact"), vectors.sum(0))


def test_one_task_is_that_expert_exactly():
    vectors = task_vectors(1, 3, 4)
    assert torch.equal(merged(vectors, **STEPS), vectors[0])


def test_twice_the_same_task_moves_from_twice_to_once():
    tau = task_vectors(1, 4, 4)
    assert torch.allclose(merged(tau.repeat(2, 1, 1), solver="exact"), tau[0], atol=1e-5)


def test_an_entry_moves_no_further_than_all_steps_together():
    vectors = 100 * task_vectors(3, 4, 4)
    moved = (merged(vectors) - vectors.sum(0)).abs()
    assert 0 < moved.max() <= 300 * 1e-5 * 1.01


def test_the_exact_solver_follows_the_length_of_all_vectors_and_the_order_of_none():
    vectors = task_vectors(3, 4, 5)
    found = merged(vectors, solver="exact")
    assert torch.allclose(merged(-8 * vectors, solver="exact"), -8 * found, rtol=1e-4, atol=1e-5)
    assert torch.allclose(merged(vectors.flip(0), solver="exact"), found, rtol=1e-4, atol=1e-5)
    turned = merged(vectors.flip(0), **STEPS)
    assert torch.allclose(turned, merged(vectors, **STEPS), rtol=1e-4, atol=1e-4)


def test_other_tensors_are_averaged_and_a_task_without_change_takes_no_part():
    shapes = {"w": [2, 2], "b": [2], "conv": [1, 2, 1, 1], "s": [], "none": [0, 2]}
    rows = [[1.0, 0, 0, 1, 4, 2, 8, 6, 1], [0, 0, 0, 0, 2, 2, 0, 2, 3]]
    found = Wudi(**STEPS).merge(given_rows(rows, shapes)).tolist()
    assert found == [1, 0, 0, 1, 3, 2, 4, 4, 2]


def test_the_defaults_are_the_papers():
    fields = {"solver": "adam", "learning_rate": 1e-5, "n_steps": 300}
    assert Wudi().hyperparameters() == fields
    assert Wudi.scale_range is None


@pytest.mark.parametrize("fields", [{"learning_rate": 0}, {"n_steps": -1}, {"solver": "sgd"}])
def test_fields_outside_their_range_are_refused(fields):
    with pytest.raises(ValidationError):
        Wudi(**fields)
