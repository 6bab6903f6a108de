"""Fisher merging: the expectation over the model's own predictions, the average, the budget."""

import naive_learning
import pytest
import torch
from pydantic import ValidationError

from taskmark.conformance import miniature
from taskmark.methods.fisher import Fisher, fisher
from taskmark.methods.regmean import samples


def test_the_draws_average_to_the_exact_fisher():
    given = miniature(Fisher)
    given._gradient_budget = 10**6
    task, vector = given.tasks[0], given.task_vectors[0]
    images = given.images(task, "train")[:8]
    exact = naive_learning.exact_fisher(given, vector, task, images)
    drawn = torch.stack([fisher(given, vector, task, images) for _ in range(300)]).double()
    spread = drawn.std(0) / 300**0.5
    assert float(((drawn.mean(0) - exact).abs() / (spread + 1e-9)).max()) < 5  # standard errors
    assert float(exact.max()) > 1e-3


def test_one_image_is_the_square_of_the_gradient_of_one_class():
    given = miniature(Fisher)
    task, vector = given.tasks[0], given.task_vectors[0]
    image = given.images(task, "train")[:1]
    found = fisher(given, vector, task, image)
    candidates = []
    for c in range(3):
        leaf = vector.clone().requires_grad_()
        logarithm = given.logits(leaf, task, image).log_softmax(-1)[0, c]
        candidates.append(torch.autograd.grad(logarithm, leaf)[0] ** 2)
    assert any(torch.allclose(found, square, rtol=1e-5) for square in candidates)


def test_the_merge_is_the_weighted_mean_of_the_experts():
    given, twin = miniature(Fisher), miniature(Fisher)
    merged = Fisher(n_images=10, floor=1e-4).merge(given)
    vectors = dict(zip(twin.tasks, twin.task_vectors, strict=True))
    above, below = 0.0, 0.0
    for task, images in samples(twin, 10).items():
        information = fisher(twin, vectors[task], task, images).double()
        information = torch.where(information < 1e-4, torch.tensor(1e-4).double(), information)
        above = above + information * (twin.pretrained + vectors[task]).double()
        below = below + information
    expected = above / below - twin.pretrained.double()
    assert torch.allclose(merged.double(), expected, atol=1e-5)
    assert given.gradient_images == 30


def test_equal_fishers_average():
    given = miniature(Fisher)
    assert torch.allclose(Fisher(floor=1e9).merge(given), given.task_vectors.mean(0), atol=1e-6)


def test_every_weight_lies_between_those_of_the_experts():
    given = miniature(Fisher)
    merged = Fisher().merge(given)
    assert bool((merged <= given.task_vectors.max(0).values + 1e-6).all())
    assert bool((merged >= given.task_vectors.min(0).values - 1e-6).all())
    assert not torch.allclose(merged, given.task_vectors.mean(0), atol=1e-3)


@pytest.mark.parametrize(("budget", "spent"), [(0, 0), (2, 0), (3, 3), (31, 30), (10**6, 120)])
def test_the_budget_is_shared_and_kept(budget, spent):
    given = miniature(Fisher)
    given._gradient_budget = budget
    merged = Fisher().merge(given)
    assert given.gradient_images == spent
    if not spent:
        assert torch.allclose(merged, given.task_vectors.mean(0), atol=1e-6)


def test_no_label_is_touched():
    given = miniature(Fisher)
    Fisher().merge(given)
    assert set(given.touched) == {f"{task}/train/images" for task in given.tasks}


@pytest.mark.parametrize("fields", [{"floor": 0.0}, {"floor": -1.0}, {"n_images": 0}])
def test_values_that_cannot_be_are_refused(fields):
    with pytest.raises(ValidationError):
        Fisher(**fields)


def test_the_defaults():
    assert Fisher().hyperparameters() == {"n_images": 256, "floor": 1e-6}
    assert (Fisher.track, Fisher.scale_range) == ("unlabelled", None)
