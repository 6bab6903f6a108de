"""Pre-trained, experts, averaging, task arithmetic and its two tangent siblings."""

import naive_formulas
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from small_inputs import given_rows, rows

from taskmark.errors import TaskmarkError
from taskmark.methods.experts import Experts
from taskmark.methods.post_hoc_linearisation import PostHocLinearisation
from taskmark.methods.pretrained import Pretrained
from taskmark.methods.tangent_fine_tuning import TangentFineTuning
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.weight_averaging import WeightAveraging

SUMS = (TaskArithmetic, TangentFineTuning, PostHocLinearisation)
TAU = [[1.0, -2.0, 0.5], [3.0, 2.0, 0.25]]


def test_pretrained_changes_nothing():
    assert Pretrained().merge(given_rows(TAU)).tolist() == [0.0, 0.0, 0.0]


def test_experts_serve_each_task_by_its_own_vector_and_others_by_the_pretrained_model():
    edit = Experts().edit(given_rows(TAU, tasks=["cars", "digits"]))
    assert edit.for_task("cars").tolist() == TAU[0]
    assert edit.for_task("digits").tolist() == TAU[1]
    assert edit.for_task("unheard of").tolist() == [0.0, 0.0, 0.0]
    assert edit.extra_parameters == 6


def test_experts_are_not_one_merged_vector():
    with pytest.raises(TypeError, match="experts"):
        Experts().merge(given_rows(TAU))


@pytest.mark.parametrize("method", SUMS)
@settings(deadline=None)
@given_that(tau=rows())
def test_task_vectors_are_summed(method, tau):
    given = given_rows(tau, recipe=method.recipe)
    assert method().merge(given).tolist() == naive_formulas.summed(tau)


@settings(deadline=None)
@given_that(tau=rows())
def test_weight_averaging_is_the_mean_of_the_experts(tau):
    given = given_rows(tau)
    experts = given.pretrained.double() + given.task_vectors.double()
    averaged = given.pretrained + WeightAveraging().merge(given)
    assert torch.allclose(averaged.double(), experts.mean(0), atol=1e-6)
    expected = torch.tensor(naive_formulas.averaged(tau))
    assert torch.allclose(WeightAveraging().merge(given), expected, atol=1e-6)


@pytest.mark.parametrize("n_copies", [1, 2, 5])
def test_task_arithmetic_of_equal_vectors_is_a_multiple_of_one(n_copies):
    merged = TaskArithmetic().merge(given_rows([TAU[0]] * n_copies))
    assert merged.tolist() == [n_copies * value for value in TAU[0]]


@settings(deadline=None)
@given_that(tau=rows())
def test_task_arithmetic_is_linear_and_blind_to_order(tau):
    merged = TaskArithmetic().merge(given_rows(tau))
    halved = [[value / 2 for value in row] for row in tau]
    assert torch.equal(TaskArithmetic().merge(given_rows(halved)), merged / 2)
    assert torch.equal(TaskArithmetic().merge(given_rows(tau[::-1])), merged)


@pytest.mark.parametrize(
    ("method", "recipe"),
    [
        (TaskArithmetic, "standard"),
        (TangentFineTuning, "tangent"),
        (PostHocLinearisation, "post_hoc"),
    ],
)
def test_the_three_sums_differ_in_their_recipe(method, recipe):
    assert method.recipe == recipe
    assert method.scale_range == (0.0, 1.0)


def test_weights_alone_come_without_data():
    with pytest.raises(TaskmarkError, match="weights alone"):
        given_rows(TAU).images("task_1")


def test_weights_of_tasks_multiply_their_vectors():
    merged = TaskArithmetic(weights=(1.0, -0.5)).merge(given_rows(TAU))
    assert merged.tolist() == [1.0 - 1.5, -2.0 - 1.0, 0.5 - 0.125]


def test_weights_of_one_change_nothing():
    weighted = TaskArithmetic(weights=(1.0, 1.0)).merge(given_rows(TAU))
    assert weighted.tolist() == TaskArithmetic().merge(given_rows(TAU)).tolist()


def test_as_many_weights_as_tasks_are_needed():
    with pytest.raises(TaskmarkError, match="3 weights for 2 tasks; give one a task, in the order"):
        TaskArithmetic(weights=(1.0, 1.0, 1.0)).merge(given_rows(TAU))


def test_weights_are_no_part_of_a_row_that_has_none():
    assert TaskArithmetic().hyperparameters() == {}
    assert TaskArithmetic(weights=(1.0, 2.0)).hyperparameters() == {"weights": [1.0, 2.0]}
