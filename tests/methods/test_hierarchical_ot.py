"""Hierarchical merging of two models: interpolation by hand, and what alignment makes of it."""

import math

import pytest
import torch
from pydantic import ValidationError
from small_inputs import given_rows
from test_alignment import model, permuted, random  # noqa: F401 - a fixture

from taskmark import Given, WeightSpace
from taskmark.methods.hierarchical_ot import HierarchicalOt, cosine


def test_each_tensor_is_interpolated_by_its_own_cosine():
    shapes = {"a": [2], "b": [2], "c": [], "none": [0], "zero": [1]}
    rows = [[3.0, 4, 1, 0, 2, 7], [5.0, 0, -1, 0, 6, 0]]
    found = HierarchicalOt().merge(given_rows(rows, shapes)).tolist()
    # Cosines 0.6, -1, 1 and, of zero, 0.
    assert found == pytest.approx([0.4 * 3 + 0.6 * 5, 0.4 * 4, 1, 0, 6, 7])


def test_the_cosine_of_a_zero_vector_is_zero():
    assert cosine(torch.zeros(3), torch.ones(3)) == 0.0
    assert cosine(torch.ones(0), torch.ones(0)) == 0.0
    assert cosine(torch.ones(2), torch.tensor([1.0, 0])) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("alignment", ["as-published", "function-preserving"])
def test_two_equal_models_are_that_model(model, alignment):  # noqa: F811 - the fixture
    space = WeightSpace.of(model)
    rows = random(1, space.size).mul_(0.01).repeat(2, 1)
    given = Given.of_weights(space.flatten(model.state_dict()), rows, space)
    assert torch.allclose(HierarchicalOt(alignment=alignment).merge(given), rows[0], atol=1e-6)


def test_a_permuted_second_model_makes_no_difference_when_functions_are_aligned(model):  # noqa: F811
    space = WeightSpace.of(model)
    start = space.flatten(model.state_dict())
    rows = 0.05 * random(2, space.size)
    other = torch.stack([rows[0], permuted(space, start + rows[1]) - start])
    plain, moved = (Given.of_weights(start, tau, space) for tau in (rows, other))
    aligned = HierarchicalOt(alignment="function-preserving")
    assert torch.allclose(aligned.merge(moved), aligned.merge(plain), atol=1e-5)
    published = HierarchicalOt()
    assert not torch.allclose(published.merge(moved), published.merge(plain), atol=1e-2)


def test_near_models_are_interpolated_as_they_are(model):  # noqa: F811
    space = WeightSpace.of(model)
    start = space.flatten(model.state_dict())
    rows = 0.01 * random(2, space.size)
    rows[1] += 2 * rows[0]
    given = Given.of_weights(start, rows, space)
    expected = torch.cat(
        [
            torch.lerp(one, two, max(0.0, float(torch.cosine_similarity(one, two, dim=0))))
            for one, two in ((rows[0, part.slice], rows[1, part.slice]) for part in space)
        ]
    )
    for alignment in ("as-published", "function-preserving"):
        found = HierarchicalOt(alignment=alignment).merge(given)
        assert torch.allclose(found, expected, atol=1e-5)


def test_it_takes_two_models_in_an_order_that_matters():
    assert HierarchicalOt.n_tasks == (2, 2)
    assert HierarchicalOt.order_matters
    assert HierarchicalOt.scale_range is None
    assert HierarchicalOt().hyperparameters() == {"alignment": "as-published", "heads": None}


@pytest.mark.parametrize("fields", [{"alignment": "sinkhorn"}, {"heads": 0}])
def test_fields_outside_their_range_are_refused(fields):
    with pytest.raises(ValidationError):
        HierarchicalOt(**fields)
