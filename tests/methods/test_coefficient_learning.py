"""Learning on losses whose optimum is known: where it ends, when it stops, what it spends."""

import itertools

import pytest
import torch
from naive_formulas import adamw

from taskmark.methods.coefficient_learning import Training, descent, learn

SLICES = (slice(0, 2), slice(2, 4))
DIRECTIONS = torch.tensor([[1.0, 2.0, 1.0, 0.0], [0.0, 1.0, 1.0, 3.0]])


class Bowl:
    """|v - target|^2 / 2 for every image; two tasks of ten images to learn on.

    On the images held out it has a target of its own, so that overfitting can be staged.
    """

    n_tasks = 2
    fit_size = 10

    def __init__(self, target, held_out_target=None):
        self.target = target
        self.held_out_target = target if held_out_target is None else held_out_target
        self.steps = 0
        self.looks = 0

    def batches(self, size):
        return itertools.repeat({"a": torch.arange(size), "b": torch.arange(size)})

    def __call__(self, vector, _index):
        self.steps += 1
        return (vector - self.target).square().sum() / 2

    def held_out(self, vector):
        self.looks += 1
        return float((vector.detach() - self.held_out_target).square().sum() / 2)


def training(**changes):
    facts = {
        "learning_rate": 0.05,
        "weight_decay": 0.0,
        "batch_size": 4,
        "epochs": 100,
        "patience": 100,
        "budget": 10**9,
    }
    return Training(**(facts | changes))


def run(loss, start=None, base=None, **changes):
    start = torch.zeros(2, 2) if start is None else start
    base = torch.zeros(4) if base is None else base
    return learn(loss, start, DIRECTIONS, SLICES, base=base, training=training(**changes))


def vector_of(c, base):
    """base + sum_k c[k, i] d_k, written out for the two slices of two."""
    (a, b), (d, e) = c.tolist()
    return base + torch.tensor([a, 2 * a + d, b + e, 3 * e])


def test_it_finds_the_coefficients_of_a_target_that_can_be_reached():
    wanted = torch.tensor([[0.4, -0.3], [-0.2, 0.6]])
    base = torch.tensor([1.0, 1.0, -1.0, 2.0])
    learnt = run(Bowl(vector_of(wanted, base)), base=base)
    assert torch.allclose(learnt.coefficients, wanted, atol=1e-3)
    assert torch.allclose(learnt.vector, vector_of(learnt.coefficients, base), atol=1e-6)
    assert learnt.held_out_loss < 1e-5


def test_its_steps_are_adamw_on_the_gradient_of_the_coefficients():
    target = torch.tensor([1.0, 0.0, 0.0, 0.0])
    c, gradients = 0.0, []
    for _ in range(4):  # the first slice is c (1, 2), so the gradient is (c - 1) + 2 (2 c)
        gradients.append((c - 1.0) + 2.0 * (2.0 * c))
        c = adamw(0.0, gradients, learning_rate=0.05, weight_decay=0.1)
    learnt = learn(
        Bowl(target),
        torch.zeros(1, 2),
        DIRECTIONS[:1],
        SLICES,
        base=torch.zeros(4),
        training=training(budget=4 * 4, weight_decay=0.1, batch_size=4),
    )
    assert float(learnt.coefficients[0, 0]) == pytest.approx(c, rel=1e-5)


@pytest.mark.parametrize(
    ("budget", "batch_size", "steps"),
    [(0, 4, 0), (3, 4, 0), (4, 4, 1), (39, 4, 9), (40, 5, 10), (40, 1, 20), (10**6, 4, 500)],
)
def test_it_never_spends_more_than_its_budget(budget, batch_size, steps):
    loss = Bowl(torch.ones(4))
    run(loss, budget=budget, batch_size=batch_size)
    assert loss.steps == steps  # an image of each of the two tasks at least; 100 epochs at most


def test_an_epoch_is_a_pass_over_the_largest_task_and_ends_in_a_look():
    loss = Bowl(torch.ones(4))
    run(loss, epochs=3, batch_size=6)  # three of each task: 4 steps for 10 images
    assert loss.steps == 3 * 4
    assert loss.looks == 1 + 3


def test_a_budget_that_ends_within_an_epoch_is_looked_at_too():
    loss = Bowl(torch.ones(4))
    learnt = run(loss, budget=2 * 4)
    assert (loss.steps, loss.looks) == (2, 2)
    assert learnt.coefficients.any()


def test_it_keeps_what_is_best_on_the_images_held_out():
    # Learning pulls to 2, the images held out want 0.6: the way there is best near 0.6.
    far, near = vector_of(torch.full((2, 2), 2.0), 0), vector_of(torch.full((2, 2), 0.6), 0)
    loss = Bowl(far, near)
    learnt = run(loss, batch_size=20)
    assert torch.allclose(learnt.coefficients, torch.full((2, 2), 0.6), atol=0.1)
    assert learnt.held_out_loss == pytest.approx(loss.held_out(learnt.vector))


def test_it_keeps_the_start_where_nothing_is_better():
    start = torch.full((2, 2), 0.5)
    loss = Bowl(torch.ones(4) * 9, vector_of(start, 0))
    assert torch.equal(run(loss, start).coefficients, start)


@pytest.mark.parametrize("patience", [1, 3])
def test_it_stops_after_epochs_without_gain(patience):
    start = torch.full((2, 2), 0.5)
    loss = Bowl(torch.ones(4) * 9, vector_of(start, 0))
    run(loss, start, patience=patience)
    assert loss.looks == 1 + patience


def test_a_gain_resets_the_patience():
    far, near = vector_of(torch.full((2, 2), 2.0), 0), vector_of(torch.full((2, 2), 0.6), 0)
    loss = Bowl(far, near)
    learnt = run(loss, batch_size=20, patience=2)
    gains = loss.looks - 1 - 2  # every look but the first and the last two was a gain
    assert gains > 5
    assert float(learnt.coefficients[0, 0]) == pytest.approx(0.05 * gains, rel=0.1)


def test_a_loss_that_is_not_a_number_is_never_kept():
    class Broken(Bowl):
        def held_out(self, vector):
            return super().held_out(vector) if not self.looks else float("nan")

    learnt = run(Broken(torch.ones(4)), patience=2)
    assert not learnt.coefficients.any()


def test_its_inputs_are_not_written_to():
    start, base = torch.zeros(2, 2), torch.zeros(4)
    directions = DIRECTIONS.clone()
    run(Bowl(torch.ones(4)), start, base)
    assert not start.any()
    assert not base.any()
    assert torch.equal(DIRECTIONS, directions)


@pytest.mark.parametrize("clip_norm", [None, 1e-3, 1e3])
def test_the_gradient_of_all_coefficients_is_clipped_to_a_norm(clip_norm):
    loss, coefficients = Bowl(torch.tensor([1.0, -2.0, 3.0, 4.0])), torch.zeros(2, 2)
    optimiser = torch.optim.SGD([coefficients], lr=1.0)
    steps = descent(
        loss,
        loss.batches(4),
        coefficients,
        optimiser,
        DIRECTIONS,
        SLICES,
        base=0,
        clip_norm=clip_norm,
    )
    next(steps)
    next(steps)
    gradient = torch.tensor([-3.0, 3.0, -2.0, 15.0])  # <target, direction>, slice by slice
    expected = 1e-3 * gradient / gradient.norm() if clip_norm == 1e-3 else gradient
    assert coefficients.flatten().tolist() == pytest.approx(expected.tolist(), rel=1e-3)
