"""DOGE against the paper's loss under autograd, by hand, and what it reduces to."""

import math

import naive_descents
import pytest
import torch
from pydantic import ValidationError
from small_inputs import given_rows

from taskmark.methods.doge import Doge, descend, shared_subspace
from taskmark.methods.ties import Ties

STEPS = {"learning_rate": 1e-2, "n_steps": 40}


def task_vectors(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def merged(rows, shapes, **fields):
    named = {f"w{i}": list(shape) for i, shape in enumerate(shapes)}
    return Doge(**fields).merge(given_rows(rows.tolist(), named))


@pytest.mark.parametrize(
    ("n_tasks", "shapes"), [(3, [(12, 14), (14, 12)]), (2, [(12, 12)]), (4, [(6, 30), (5, 7)])]
)
def test_it_is_the_papers_descent_trimmed_and_summed(n_tasks, shapes):
    rows = task_vectors(n_tasks, sum(a * b for a, b in shapes))
    fields = {"eta": 1.5, "density": 0.4}
    expected = naive_descents.doge(rows, shapes, fraction=6, **fields, **STEPS)
    found = merged(rows, shapes, **fields, **STEPS).double()
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_delta_closes_the_gap_to_the_experts():
    vectors, coefficients = task_vectors(3, 12, 9), torch.full((3,), 0.3)
    gaps = [
        float(
            naive_descents.doge_loss(
                descend(vectors, coefficients, torch.empty(12, 0), learning_rate=0.01, n_steps=n),
                vectors,
                coefficients,
            )
        )
        for n in (0, 40, 400)
    ]
    assert gaps[0] > gaps[1] > 10 * gaps[2]


def test_the_projected_gradient_has_no_part_in_the_shared_subspace():
    # The shared direction is a unit vector: its row never moves, since Adam works entry by entry.
    vectors = torch.zeros(2, 6, 6)
    vectors[:, 0], vectors[:, 1:] = 10.0, task_vectors(2, 5, 6)
    shared = torch.eye(6)[:, :1]
    found = descend(vectors, torch.full((2,), 0.4), shared, **STEPS)
    assert not found[0].any()
    assert found[1:].abs().min() > 0


def test_the_shared_subspace_is_that_of_the_tasks_top_directions():
    vectors = torch.zeros(2, 6, 6)
    vectors[0, 0], vectors[1, 0] = 5.0, 7.0  # both write to the first output most
    vectors[0, 1, 0] = vectors[1, 2, 1] = vectors[0, 3, 2] = vectors[1, 4, 3] = 0.1
    shared = shared_subspace(vectors, 6)
    assert shared.shape == (6, 1)
    wide = shared_subspace(task_vectors(3, 12, 9), 3)
    assert torch.allclose(wide.T @ wide, torch.eye(3), atol=1e-5)
    assert abs(float(shared[0, 0])) == pytest.approx(1.0, abs=1e-3)


def test_without_steps_it_is_a_sum_of_trimmed_directions():
    rows = task_vectors(3, 20)
    found = merged(rows, [(4, 5)], n_steps=0, density=0.5, eta=2.0)
    kept = torch.stack([row * (row.abs() >= row.abs().sort().values[-10]) for row in rows])
    assert torch.allclose(found, (2.0 * kept / rows.norm(dim=1, keepdim=True)).sum(0), atol=1e-6)


def test_one_task_by_hand():
    # lambda = 1 / 5. Trimming keeps the one entry of 4; Delta does not move in no steps.
    assert merged(torch.tensor([[3.0, 4.0]]), [(1, 2)], eta=1, density=0.5, n_steps=0).tolist() == (
        pytest.approx([0.0, 0.8])
    )


def test_other_tensors_stay_at_theta0():
    shapes = {"b": [2], "w": [1, 2], "none": [0, 3], "s": []}
    found = Doge(eta=1, density=1, n_steps=0).merge(given_rows([[9.0, 9, 3, 4, 9]], shapes))
    assert found.tolist() == pytest.approx([0, 0, 0.6, 0.8, 0])
    assert Doge().merge(given_rows([[9.0, 9]], {"b": [2]})).tolist() == [0, 0]


def test_a_task_without_change_of_a_weight_takes_no_part_in_it():
    rows = torch.stack([task_vectors(36), torch.zeros(36)])
    assert torch.isfinite(merged(rows, [(6, 6)], **STEPS)).all()
    assert (
        merged(rows, [(6, 6)], n_steps=0).tolist() == merged(rows[:1], [(6, 6)], n_steps=0).tolist()
    )


def test_the_order_of_tasks_and_the_sign_of_all_make_no_difference():
    rows = task_vectors(3, 144)
    found = merged(rows, [(12, 12)], **STEPS)
    assert torch.allclose(merged(rows.flip(0), [(12, 12)], **STEPS), found, rtol=1e-3, atol=1e-4)
    assert torch.allclose(merged(-rows, [(12, 12)], **STEPS), -found, rtol=1e-3, atol=1e-4)


def test_what_trimming_keeps_is_what_ties_keeps():
    rows = task_vectors(1, 30)
    kept = merged(rows, [(5, 6)], n_steps=0, density=0.3) != 0
    assert torch.equal(kept, Ties(density=0.3).merge(given_rows(rows.tolist())) != 0)


def test_the_defaults_are_the_papers():
    assert Doge().hyperparameters() == {
        "eta": 0.07,
        "density": 0.3,
        "subspace": 6,
        "learning_rate": 1e-4,
        "n_steps": 400,
    }


@pytest.mark.parametrize(
    "fields", [{"eta": 0}, {"density": 0}, {"subspace": 0}, {"n_steps": -1}, {"learning_rate": 0}]
)
def test_fields_outside_their_range_are_refused(fields):
    with pytest.raises(ValidationError):
        Doge(**fields)


@pytest.mark.parametrize("scale", [1e37, 1e20, 1e10, 1e-10, 1e-20, 1e-36])
def test_vectors_beyond_all_usual_lengths_are_merged_as_usual_ones_are(scale):
    rows, shapes = task_vectors(3, 12 * 8), [(12, 8)]
    usual = merged(rows, shapes, steps="relative", n_steps=40)
    power = 2.0 ** round(math.log2(scale))
    found = merged((rows.double() * power).float(), shapes, n_steps=40)
    assert torch.allclose(found, usual, rtol=1e-3, atol=1e-6)


def test_denormal_vectors_give_finite_results():
    found = merged(1e-42 * task_vectors(3, 12 * 8), [(12, 8)], n_steps=40)
    assert found.isfinite().all()
    assert found.any()


def test_a_vector_far_shorter_than_the_others_counts_as_zero():
    rows = task_vectors(3, 12 * 8)
    without = rows.clone()
    rows[2] *= 1e-20
    without[2] = 0
    assert torch.equal(merged(rows, [(12, 8)]), merged(without, [(12, 8)]))


def test_absolute_steps_are_no_part_of_a_row():
    assert "steps" not in Doge().hyperparameters()
    assert Doge(steps="relative").hyperparameters()["steps"] == "relative"
