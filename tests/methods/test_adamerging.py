"""AdaMerging in its three forms: its steps, what it starts from, what it may spend."""

import itertools

import naive_learning
import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from pydantic import ValidationError
from small_inputs import rows

from taskmark.conformance import miniature
from taskmark.methods.adamerging import AdaMerging, AdaMergingPlus, AdaMergingTask, Agreeing
from taskmark.methods.task_loss import TaskLoss

METHODS = (AdaMerging, AdaMergingTask, AdaMergingPlus)


def agreeing(vectors, density):
    return Agreeing.of(vectors, density)[:, :]


def directions_of(method, given):
    plus = method is AdaMergingPlus
    return agreeing(given.task_vectors, 0.2) if plus else given.task_vectors


@pytest.mark.parametrize("method", METHODS)
def test_it_takes_the_steps_of_the_paper(method):
    given = miniature(method)
    merged = method(steps=5, images_per_task=8, learning_rate=0.05).merge(given)
    twin = miniature(method)
    batches = TaskLoss(twin, labelled=False, hold_out=False).batches(8)
    twin._gradient_budget = 10**6
    expected = naive_learning.adamerging(
        twin,
        directions_of(method, twin),
        itertools.islice(batches, 5),
        initial=0.3,
        learning_rate=0.05,
        by_tensor=method is not AdaMergingTask,
    )
    assert torch.allclose(merged, expected, atol=1e-4)
    start = 0.3 * directions_of(method, twin).sum(0)
    assert float((merged - start).norm()) > 0.05 * float(start.norm())
    assert given.gradient_images == 5 * 3 * 8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("fields", "budget"), [({"steps": 0}, 1000), ({}, 2)])
def test_without_a_step_it_is_the_sum_times_three_tenths(method, fields, budget):
    given = miniature(method)
    given._gradient_budget = budget
    merged = method(**fields).merge(given)
    assert torch.allclose(merged, 0.3 * directions_of(method, given).sum(0), atol=1e-6)
    assert given.gradient_images == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("budget", "steps", "spent"),
    [
        (10**6, 20, 20 * 3 * 16),  # enough for all
        (300, 20, 20 * 3 * 5),  # all steps, with fewer images in each
        (200, 20, 20 * 3 * 3),
        (59, 20, 19 * 3),  # one image of each task in each step, and fewer steps
    ],
)
def test_the_number_of_steps_is_kept_before_the_size_of_a_batch(method, budget, steps, spent):
    given = miniature(method)
    given._gradient_budget = budget
    method(steps=steps).merge(given)
    assert given.gradient_images == spent


@pytest.mark.parametrize("method", METHODS)
def test_predictions_become_surer_and_no_label_is_seen(method):
    given = miniature(method)
    merged = method(learning_rate=0.01, steps=100).merge(given)
    loss = TaskLoss(miniature(method), labelled=False)
    assert loss.held_out(merged) < loss.held_out(0.3 * directions_of(method, given).sum(0))
    assert set(given.touched) == {f"{task}/validation/images" for task in given.tasks}


def test_task_wise_is_one_coefficient_a_task():
    given = miniature(AdaMergingTask)
    merged = AdaMergingTask(learning_rate=0.01, steps=50).merge(given).double()
    columns = given.task_vectors.T.double()
    fitted = torch.linalg.lstsq(columns, merged[:, None]).solution
    assert torch.allclose((columns @ fitted)[:, 0], merged, atol=1e-6)
    assert float((fitted - 0.3).abs().max()) > 0.01


# What AdaMerging++ learns on.


def test_trimmed_vectors_that_agree_by_hand():
    vectors = torch.tensor([[4.0, 1.0, -3.0, 3.0], [-1.0, 5.0, 4.0, -3.0], [9.0, 8.0, 0.5, 0.25]])
    # Half of each row: (4, 0, -3, 3), (0, 5, 4, 0), (9, 8, 0, 0). Signs of the sums: + + + +.
    assert agreeing(vectors, 0.5).tolist() == [
        [4.0, 0.0, 0.0, 3.0],
        [0.0, 5.0, 4.0, 0.0],
        [9.0, 8.0, 0.0, 0.0],
    ]


def test_where_the_kept_entries_cancel_nothing_is_kept():
    assert not agreeing(torch.tensor([[2.0, -1.0], [-2.0, 1.0]]), 1.0).any()


@settings(max_examples=40, deadline=None)
@for_all(rows())
def test_they_sum_to_ties_and_no_two_disagree(values):
    vectors = torch.tensor(values)
    kept = agreeing(vectors, 0.5)
    assert bool(((kept == vectors) | (kept == 0)).all())
    assert bool((kept.sum(0).abs() == kept.abs().sum(0)).all())  # one sign in each column
    flipped = agreeing(-vectors, 0.5)
    assert torch.equal(flipped, -kept)
    assert torch.equal(agreeing(vectors.flip(0), 0.5), kept.flip(0))


def test_long_vectors_are_worked_through_in_pieces():
    source = torch.Generator().manual_seed(0)
    vectors = torch.randn(3, 100_000, generator=source)
    kept = agreeing(vectors, 1.0)
    sign = vectors.sum(0).sign()
    assert torch.equal(kept, torch.where(vectors.sign() == sign, vectors, 0.0))


@pytest.mark.parametrize(
    "fields",
    [{"learning_rate": 0}, {"steps": -1}, {"images_per_task": 0}, {"initial": float("nan")}],
)
@pytest.mark.parametrize("method", METHODS)
def test_values_that_cannot_be_are_refused(method, fields):
    with pytest.raises(ValidationError):
        method(**fields)


@pytest.mark.parametrize("density", [0.0, 1.5])
def test_a_density_that_cannot_be_is_refused(density):
    with pytest.raises(ValidationError):
        AdaMergingPlus(density=density)


@pytest.mark.parametrize("method", METHODS)
def test_the_defaults_are_the_papers(method):
    fields = method().hyperparameters()
    assert (fields["initial"], fields["learning_rate"], fields["steps"]) == (0.3, 1e-3, 500)
    assert fields.get("density", 0.2) == 0.2
    assert (method.track, method.scale_range) == ("unlabelled", None)
