"""The probe against the objective that it says it minimises, and every choice it states."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn import functional

from taskmark.errors import TaskmarkError
from taskmark.inference.probing import STRENGTHS, probe


def clouds(n_classes=3, n=60, width=4, seed=0, spread=1.0):
    """Classes as overlapping clouds, in features of very different sizes."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(n_classes, width, generator=g)
    sizes = 10.0 ** torch.arange(-2, width - 2)

    def split():
        y = torch.arange(n) % n_classes
        x = centres[y] + spread * torch.randn(n, width, generator=g)
        return x * sizes + 5.0, y

    return (*split(), *split())


def penalised_loss(head, x, y, strength):
    """C sum CE + ||W||^2 / 2 over the weight on standardised features, in double precision."""
    x = x.double()
    z_weight = head.weight.double() * x.std(0, correction=0)
    logits = functional.linear(x, head.weight.double(), head.bias.double())
    centred = z_weight - z_weight.mean(0)  # the softmax does not see a shift common to all classes
    return float(
        strength * functional.cross_entropy(logits, y, reduction="sum") + centred.square().sum() / 2
    )


def optimum(x, y, n_classes, strength):
    """The least value of the same objective, by another optimiser on our own gradient."""
    x = x.double()
    z = ((x - x.mean(0)) / x.std(0, correction=0)).requires_grad_(requires_grad=False)

    def value(flat):
        parameters = torch.tensor(flat).view(n_classes, -1).requires_grad_()
        logits = z @ parameters[:, :-1].T + parameters[:, -1]
        loss = strength * functional.cross_entropy(logits, y, reduction="sum")
        loss = loss + parameters[:, :-1].square().sum() / 2
        (gradient,) = torch.autograd.grad(loss, parameters)
        return loss.item(), gradient.flatten().numpy()

    start = np.zeros(n_classes * (z.shape[1] + 1))
    return minimize(value, start, jac=True, method="BFGS", options={"gtol": 1e-8}).fun


@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_the_head_minimises_the_stated_objective(strength):
    x, y, x_validation, y_validation = clouds()
    head = probe(x, y, x_validation, y_validation, n_classes=3, strengths=[strength])
    best = optimum(x, y, 3, strength)
    assert penalised_loss(head, x, y, strength) == pytest.approx(best, rel=1e-4)


def test_two_classes_minimise_the_logistic_loss():
    x, y, x_validation, y_validation = clouds(n_classes=2)
    head = probe(x, y, x_validation, y_validation, n_classes=2, strengths=[0.1])
    # One logit w.z + b with the penalty ||w||^2 / 2 is two rows +-w/2, of which each has a quarter.
    z = (x - x.mean(0)).double() / x.std(0, correction=0)

    def value(flat):
        w = torch.tensor(flat).requires_grad_()
        logit = z @ w[:-1] + w[-1]
        ce = functional.binary_cross_entropy_with_logits(logit, y.double(), reduction="sum")
        loss = 0.1 * ce + w[:-1].square().sum() / 2
        (gradient,) = torch.autograd.grad(loss, w)
        return loss.item(), gradient.numpy()

    w = minimize(value, np.zeros(z.shape[1] + 1), jac=True, options={"gtol": 1e-8}).x
    probability = head.logits(x).softmax(-1)[:, 1].double()
    expected = torch.sigmoid(z @ torch.tensor(w[:-1]) + w[-1])
    assert torch.allclose(probability, expected, atol=1e-3)


def test_the_strength_is_the_best_on_validation_and_the_smallest_of_equals():
    x, y, x_validation, y_validation = clouds(spread=2.0)
    heads = {
        c: probe(x, y, x_validation, y_validation, n_classes=3, strengths=[c]) for c in STRENGTHS
    }
    accuracy = {
        c: float((head.predict(x_validation) == y_validation).float().mean())
        for c, head in heads.items()
    }
    assert len(set(accuracy.values())) > 1
    expected = min(c for c in STRENGTHS if accuracy[c] == max(accuracy.values()))
    chosen = probe(x, y, x_validation, y_validation, n_classes=3, strengths=STRENGTHS[::-1])
    assert torch.allclose(chosen.weight, heads[expected].weight, rtol=0.02, atol=1e-3)


def test_the_size_of_a_feature_does_not_matter():
    x, y, x_validation, y_validation = clouds()
    one = probe(x, y, x_validation, y_validation, n_classes=3)
    factor = torch.tensor([100.0, 1.0, 0.01, -3.0])
    other = probe(x * factor, y, x_validation * factor, y_validation, n_classes=3)
    expected = one.logits(x_validation).softmax(-1)
    assert torch.allclose(other.logits(x_validation * factor).softmax(-1), expected, atol=1e-3)


def test_a_constant_feature_gets_no_weight():
    x, y, x_validation, y_validation = clouds()
    x[:, 1], x_validation[:, 1] = 7.0, 9.0
    head = probe(x, y, x_validation, y_validation, n_classes=3)
    assert head.weight[:, 1].tolist() == [0.0, 0.0, 0.0]
    assert bool(torch.isfinite(head.bias).all())


def test_a_class_without_train_images_is_never_predicted():
    x, y, x_validation, y_validation = clouds()
    head = probe(x, y * 2, x_validation, y_validation * 2, n_classes=6)
    assert set(head.predict(torch.randn(500, 4) * 100).tolist()) <= {0, 2, 4}
    assert tuple(head.weight.shape) == (6, 4)


def test_probing_twice_gives_the_same_bytes():
    x, y, x_validation, y_validation = clouds()
    one, two = (probe(x, y, x_validation, y_validation, n_classes=3) for _ in range(2))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)
    assert (one.weight.dtype, one.normalise) == (torch.float32, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, xv, yv: (x * float("nan"), y, xv, yv), "NaN"),
        (lambda x, y, xv, yv: (x, y * 0, xv, yv), "fewer than two classes"),
        (lambda x, y, xv, yv: (x, y, xv[:0], yv[:0]), "no validation images"),
    ],
)
def test_what_cannot_be_probed_is_named(change, message):
    with pytest.raises(TaskmarkError, match=message):
        probe(*change(*clouds()), n_classes=3)
