"""The contract's base class."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from taskmark import Edit, Given, Method, WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.methods import get


class Halving(Method):
    """Halve the sum.

    More words.
    """

    name = "halving"
    share: float = 0.5

    def merge(self, given: Given) -> torch.Tensor:
        return self.share * given.task_vectors.sum(0)


class Silent(Method):
    name = "silent"


def test_an_instance_is_frozen_and_takes_no_unknown_field():
    with pytest.raises(ValidationError):
        Halving().share = 1.0
    with pytest.raises(ValidationError):
        Halving(shear=1.0)


def test_merge_becomes_an_edit():
    space = WeightSpace.of({"a": torch.zeros(2)})
    given = Given.of_weights(torch.zeros(2), torch.ones(3, 2), space)
    edit = Halving().edit(given)
    assert edit.vector.tolist() == [1.5, 1.5]
    assert edit.extra_parameters == 0


def test_the_summary_is_the_first_line_of_the_docstring():
    assert Halving.summary() == "Halve the sum."
    assert Silent.summary() == ""


def test_hyperparameters_are_all_fields_with_their_values():
    assert Halving(share=0.25).hyperparameters() == {"share": 0.25}


def test_a_method_without_a_merged_vector_says_so():
    with pytest.raises(TypeError, match="'silent' returns no merged vector"):
        Silent().merge(None)


class Pairing(Method):
    """Take the first of two."""

    name = "pairing"
    n_tasks = (2, 2)

    def merge(self, given: Given) -> torch.Tensor:
        return given.task_vectors[0]


class Straight(Method):
    """Add up in the tangent space."""

    name = "straight"
    recipe = "tangent"

    def edit(self, given: Given) -> Edit:
        return Edit(given.task_vectors.sum(0))


def of_tasks(n_tasks: int, recipe: str = "standard") -> Given:
    space = WeightSpace.of({"a": torch.zeros(2)})
    return Given.of_weights(torch.zeros(2), torch.ones(n_tasks, 2), space, recipe=recipe)


@pytest.mark.parametrize("n_tasks", [1, 3])
@pytest.mark.parametrize("path", ["merge", "edit"])
def test_a_method_refuses_another_number_of_models_than_it_declares(path, n_tasks):
    with pytest.raises(TaskmarkError, match=f"'pairing' merges 2 models, not {n_tasks}"):
        getattr(Pairing(), path)(of_tasks(n_tasks))
    assert getattr(Pairing(), path)(of_tasks(2)) is not None


def test_a_built_in_method_refuses_it_too():
    with pytest.raises(TaskmarkError, match="'hierarchical_ot' merges 2 models, not 3"):
        get("hierarchical_ot")().merge(of_tasks(3))


def test_a_method_refuses_experts_of_another_recipe_than_it_declares():
    with pytest.raises(TaskmarkError, match="recipe 'tangent', but these are of 'standard'"):
        Straight().edit(of_tasks(2))
    assert Straight().edit(of_tasks(2, "tangent")).vector.tolist() == [2.0, 2.0]
    assert Halving().merge(of_tasks(2, "tangent")).tolist() == [1.0, 1.0]


class Growing(Halving):
    """Halving with a field that came later."""

    name = "growing"
    added_fields = ("power",)
    power: int = 1


def test_a_field_that_came_later_is_left_out_while_it_has_its_default():
    assert Growing().hyperparameters() == {"share": 0.5}
    assert Growing(power=2).hyperparameters() == {"share": 0.5, "power": 2}
