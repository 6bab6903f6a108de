"""Greedy scales: the descent by hand and by brute force, its order, its passes."""

import itertools

import pytest
import torch
from pydantic import ValidationError

from taskmark.conformance import miniature
from taskmark.methods.greedy_scales import GreedyScales, descend
from taskmark.methods.task_loss import TaskLoss

GRID = [0.0, 0.5, 1.0]


def counted(function):
    calls = []

    def loss(vector):
        calls.append(vector)
        return function(vector)

    return loss, calls


def test_a_round_by_hand():
    # (c0 + c1 - 1)^2: the first takes all, so that nothing is left for the second.
    loss, calls = counted(lambda v: float((v.sum() - 1) ** 2))
    vectors = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])]
    assert descend(vectors, loss, GRID, 1) == [1.0, 0.0]
    assert len(calls) == 1 + 2 * 2  # zero once, then two more scales for each


def test_a_second_round_goes_on_from_the_first():
    # (c0 + 2 c1 - 3)^2 + (c0 - c1)^2 / 4 is best at (1, 1); one at a time, 1 then 1.
    loss, _ = counted(lambda v: float((v[0] + 2 * v[1] - 3) ** 2 + (v[0] - v[1]) ** 2 / 4))
    vectors = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])]
    assert descend(vectors, loss, GRID, 2) == [1.0, 1.0]
    # (c0 - 1 / 2)^2 + 4 (c0 + c1 - 1)^2: c0 takes 1, c1 stays; then c0 cannot move alone.
    loss, _ = counted(lambda v: float((v[0] - 0.5) ** 2 + 4 * (v.sum() - 1) ** 2))
    assert descend(vectors, loss, GRID, 1) == [1.0, 0.0]


def test_it_ends_where_a_round_changes_nothing():
    loss, calls = counted(lambda v: float(v.square().sum()))
    assert descend([torch.ones(2), torch.ones(2)], loss, GRID, 99) == [0.0, 0.0]
    assert len(calls) == 1 + 2 * 2


def test_of_equal_losses_the_smallest_scale_wins():
    assert descend([torch.ones(2)], lambda _: 1.0, GRID, 1) == [0.0]


def test_no_single_scale_of_the_result_can_be_bettered():
    given, twin = miniature(GreedyScales), miniature(GreedyScales)
    merged = GreedyScales(rounds=50, n_images=20).merge(given)
    loss = TaskLoss(twin, labelled=True)
    index = next(loss.batches(20))

    def at(scales):
        vector = torch.tensor(scales) @ twin.task_vectors
        with torch.no_grad():
            return float(loss(vector, index)), vector

    columns = twin.task_vectors.T.double()
    fitted = torch.linalg.lstsq(columns, merged.double()[:, None]).solution[:, 0]
    scales = [round(10 * float(c)) / 10 for c in fitted]
    assert torch.allclose(at(scales)[1], merged, atol=1e-5)
    best = at(scales)[0]
    for place, scale in itertools.product(range(3), GreedyScales().scales):
        other = [scale if i == place else c for i, c in enumerate(scales)]
        assert at(other)[0] >= best - 1e-5
    assert best < at([0.0] * 3)[0]


def test_the_passes_are_as_many_as_stated():
    given = miniature(GreedyScales)
    GreedyScales(rounds=1, n_images=8).merge(given)
    assert given.forward_images == (1 + 3 * 10) * 3 * 8
    assert given.gradient_images == 0
    assert {key.split("/")[1] for key in given.touched} == {"validation"}


def test_the_largest_task_vector_goes_first():
    given = miniature(GreedyScales)
    given.task_vectors = given.task_vectors * torch.tensor([[1.0], [3.0], [2.0]])
    seen = []
    inner = given.features
    given.features = lambda vector, inputs, **at: (
        seen.append(vector.clone()) or inner(vector, inputs, **at)
    )
    GreedyScales(rounds=1, scales=(0.0, 1.0), n_images=4).merge(given)
    assert not seen[0].any()
    assert torch.equal(seen[1], given.task_vectors[1])


@pytest.mark.parametrize(
    "fields", [{"scales": ()}, {"scales": (float("inf"),)}, {"rounds": 0}, {"n_images": 0}]
)
def test_values_that_cannot_be_are_refused(fields):
    with pytest.raises(ValidationError):
        GreedyScales(**fields)
