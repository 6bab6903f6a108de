"""Combining directions by coefficients, and the gradient by the chain rule."""

import torch
from small_inputs import given_rows

from taskmark.methods.coefficients import coefficient_gradient, combine, groups

SHAPES = {"a": [2, 2], "nothing": [0], "b": [3], "one": []}
TAU = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
SLICES = groups(given_rows(TAU.tolist(), SHAPES).space, "tensor")


def test_there_is_a_group_for_every_tensor_or_one_for_all():
    space = given_rows(TAU.tolist(), SHAPES).space
    assert groups(space, "tensor") == (slice(0, 4), slice(4, 4), slice(4, 7), slice(7, 8))
    assert groups(space, "scalar") == (slice(0, 8),)


def test_a_combination_by_hand():
    directions = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    coefficients = torch.tensor([[1.0, -1.0], [0.5, 2.0]])  # [K, G]
    found = combine(coefficients, directions, (slice(0, 2), slice(2, 3)))
    assert found.tolist() == [1 + 5, 2 + 10, -3 + 60]


def test_the_gradient_by_hand():
    directions = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    gradient = torch.tensor([1.0, -1.0, 4.0])
    found = coefficient_gradient(gradient, directions, (slice(0, 2), slice(2, 3)))
    assert found.tolist() == [[-1.0, 12.0], [-10.0, 120.0]]


def test_the_gradient_is_that_of_the_graph_through_all_directions():
    target = torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    coefficients = torch.linspace(-1, 1, 12).view(3, 4)

    wide = coefficients.double().requires_grad_()
    pieces = [(wide[:, g, None] * TAU.double()[:, s]).sum(0) for g, s in enumerate(SLICES)]
    loss = (torch.cat(pieces) - target).square().sum().exp().log1p()
    (expected,) = torch.autograd.grad(loss, wide)

    leaf = combine(coefficients, TAU, SLICES).double().requires_grad_()
    (through_leaf,) = torch.autograd.grad((leaf - target).square().sum().exp().log1p(), leaf)
    found = coefficient_gradient(through_leaf.float(), TAU, SLICES)
    assert torch.allclose(torch.cat(pieces).float(), combine(coefficients, TAU, SLICES), atol=1e-6)
    assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_partitions_cut_every_tensor_at_random_and_cover_it():
    space = given_rows(TAU.tolist(), SHAPES).space
    found = groups(space, "tensor", partitions=2, generator=torch.Generator().manual_seed(0))
    assert [len(indices) for indices in found] == [2, 2, 0, 0, 2, 1, 1, 0]
    assert torch.cat(found[:2]).sort().values.tolist() == [0, 1, 2, 3]
    assert torch.cat(found[4:6]).sort().values.tolist() == [4, 5, 6]
    whole = groups(space, "scalar", partitions=3, generator=torch.Generator().manual_seed(0))
    assert [len(indices) for indices in whole] == [3, 3, 2]
    assert torch.cat(whole).sort().values.tolist() == list(range(8))
    assert whole[0].tolist() != [0, 1, 2]


def test_groups_of_indices_combine_and_differentiate_like_masks():
    generator = torch.Generator().manual_seed(3)
    space = given_rows(TAU.tolist(), SHAPES).space
    indices = groups(space, "tensor", partitions=2, generator=generator)
    coefficients = torch.randn(3, len(indices), generator=generator)
    gradient = torch.randn(8, generator=generator)
    masks = torch.zeros(len(indices), 8)
    for row, entries in zip(masks, indices, strict=True):
        row[entries] = 1.0
    expected = sum(
        coefficients[k, g] * masks[g] * TAU[k] for k in range(3) for g in range(len(indices))
    )
    assert torch.allclose(combine(coefficients, TAU, indices), expected, atol=1e-6)
    found = coefficient_gradient(gradient, TAU, indices)
    assert torch.allclose(found, (TAU * gradient) @ masks.T, atol=1e-5)
