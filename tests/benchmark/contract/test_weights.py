"""The layout of flat vectors."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn

from taskmark import WeightSpace
from taskmark.errors import TaskmarkError

shapes = st.lists(st.lists(st.integers(0, 4), max_size=4).map(tuple), min_size=1, max_size=6)


def _state(all_shapes: list[tuple[int, ...]]) -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(1)
    return {f"p{i}": torch.randn(shape, generator=source) for i, shape in enumerate(all_shapes)}


@settings(deadline=None, max_examples=50)
@for_all(shapes)
def test_flattening_and_unflattening_is_the_identity(all_shapes):
    state = _state(all_shapes)
    space = WeightSpace.of(state)
    vector = space.flatten(state)
    assert vector.shape == (space.size,)
    back = space.unflatten(vector)
    assert list(back) == list(state)
    for name, tensor in state.items():
        assert back[name].shape == tensor.shape
        assert torch.equal(back[name], tensor)


@settings(deadline=None, max_examples=50)
@for_all(shapes)
def test_the_parts_lie_side_by_side_without_gaps(all_shapes):
    space = WeightSpace.of(_state(all_shapes))
    stop = 0
    for part, shape in zip(space, all_shapes, strict=True):
        assert part.slice.start == stop
        assert part.size == math.prod(shape)
        stop = part.slice.stop
    assert space.size == stop
    assert len(space) == len(all_shapes)


def test_unflattened_tensors_are_views_that_pass_gradients():
    space = WeightSpace.of({"a": torch.zeros(2, 2), "b": torch.zeros(3)})
    vector = torch.arange(7.0).requires_grad_()
    (space.unflatten(vector)["b"] * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert vector.grad.tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert space.unflatten(vector)["a"].data_ptr() == vector.data_ptr()


def test_all_parts_hand_their_gradients_to_the_vector_at_once():
    """A gradient as long as the vector for each part would cost parts times the vector."""
    space = WeightSpace.of({"a": torch.zeros(2, 2), "b": torch.zeros(3), "c": torch.zeros(1, 4)})
    parts = space.unflatten(torch.zeros(11).requires_grad_()).values()
    assert len({part.grad_fn.next_functions[0][0] for part in parts}) == 1


def test_shared_parameters_of_a_module_are_laid_out_once():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    space = WeightSpace.of(model)
    assert [part.name for part in space] == ["0.weight"]
    assert space.size == 9


def test_counters_and_running_statistics_are_left_out():
    model = nn.BatchNorm1d(2)
    space = WeightSpace.of(model.state_dict())
    assert [part.name for part in space] == ["weight", "bias"]


def test_flattening_copies_and_converts_to_float32():
    state = {"a": torch.ones(2, dtype=torch.float64)}
    vector = WeightSpace.of(state).flatten(state)
    assert vector.dtype == torch.float32
    vector.zero_()
    assert state["a"].tolist() == [1, 1]


@pytest.mark.parametrize("source", [{}, {"n": torch.tensor([1, 2])}, nn.ReLU()])
def test_a_source_without_weights_is_refused(source):
    with pytest.raises(TaskmarkError, match="has no weights to edit"):
        WeightSpace.of(source)


def test_a_missing_tensor_is_named():
    space = WeightSpace.of({"a": torch.zeros(2), "b": torch.zeros(2)})
    with pytest.raises(TaskmarkError, match="missing: b"):
        space.flatten({"a": torch.zeros(2)})


def test_a_tensor_of_another_shape_is_named_with_both_shapes():
    space = WeightSpace.of({"a": torch.zeros(2, 3)})
    with pytest.raises(TaskmarkError, match=r"a is \(3, 2\) instead of \(2, 3\)"):
        space.flatten({"a": torch.zeros(3, 2)})


@pytest.mark.parametrize("shape", [(5,), (7,), (2, 3)])
def test_a_vector_of_another_length_is_not_unflattened(shape):
    space = WeightSpace.of({"a": torch.zeros(2, 3)})
    with pytest.raises(TaskmarkError, match="6 numbers"):
        space.unflatten(torch.zeros(shape))


def test_flattening_into_a_vector_that_is_there_makes_no_other():
    space = WeightSpace.of({"a": torch.zeros(2), "b": torch.zeros(1, 2)})
    rows = torch.zeros(2, 4)
    found = space.flatten({"a": torch.tensor([1.0, 2.0]), "b": torch.ones(1, 2)}, out=rows[1])
    assert found.data_ptr() == rows[1].data_ptr()
    assert rows.tolist() == [[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 1.0, 1.0]]


class _Attending(nn.Module):
    num_heads = 4

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)


def test_a_part_of_an_attention_knows_its_heads():
    model = nn.Sequential(nn.Linear(8, 8), _Attending(), nn.MultiheadAttention(6, 2))
    heads = {part.name: part.heads for part in WeightSpace.of(model)}
    assert heads["0.weight"] is None
    assert heads["1.qkv.weight"] == heads["1.qkv.bias"] == 4
    assert heads["2.in_proj_weight"] == heads["2.out_proj.weight"] == 2
    assert {part.heads for part in WeightSpace.of(model.state_dict())} == {None}
