"""The contract's base class."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from taskmark import Given, Method, WeightSpace


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
