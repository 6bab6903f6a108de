"""Tuning of experts against a schedule by hand and a naive optimiser."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_setting import setting_of
from torch.func import functional_call, jacrev
from torch.nn import functional

from taskmark import Head
from taskmark.contract.recipe import get_recipe
from taskmark.stages.tuning import batches, learning_rate_factor, tune
from taskmark.suite.protocol import Tuning

CPU = torch.device("cpu")


def _tuning(**changes):
    values = {
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "warmup": 0.25,
        "clip_norm": 0.5,
        "epochs": 2,
        "batch_size": 10,
    }
    return Tuning(**{**values, **changes})


@pytest.fixture
def head():
    source = torch.Generator().manual_seed(7)
    return Head(torch.randn(3, 8, generator=source, dtype=torch.float64), torch.zeros(3).double())


@pytest.fixture
def labels():
    return torch.arange(20) % 3


def test_the_schedule_warms_up_in_a_line_and_falls_along_half_a_cosine():
    factors = [learning_rate_factor(step, 8, 0.25) for step in range(9)]
    fall = [0.5 * (1 + math.cos(math.pi * k / 6)) for k in range(7)]
    assert factors == pytest.approx([0.5, 1.0, *fall], abs=1e-12)
    assert factors[-1] == pytest.approx(0)


def test_a_warm_up_in_steps_is_as_long_whatever_the_schedule():
    for n_steps in (40, 400):
        factors = [learning_rate_factor(step, n_steps, 8) for step in range(n_steps)]
        assert factors[:8] == [(step + 1) / 8 for step in range(8)]
        assert factors[8] == 1.0 > factors[9]
    assert factors == [learning_rate_factor(step, 400, 8 / 400) for step in range(400)]
    short = [learning_rate_factor(step, 4, 8) for step in range(4)]
    assert short == [1 / 8, 2 / 8, 3 / 8, 4 / 8]  # it ends before it is warm


@pytest.mark.parametrize(("n_steps", "warmup"), [(1, 0.0), (1, 1.0), (3, 1.0), (5, 0.0)])
def test_the_schedule_stays_within_zero_and_one_at_its_edges(n_steps, warmup):
    factors = [learning_rate_factor(step, n_steps, warmup) for step in range(n_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1


def test_an_epoch_shows_every_image_once():
    source = torch.Generator().manual_seed(0)
    parts = list(batches(23, 10, source))
    assert [len(part) for part in parts] == [10, 10, 3]
    assert sorted(torch.cat(parts).tolist()) == list(range(23))


def _naive(encoder, setting, head, inputs, labels, *, mode, tuning, seed):
    """AdamW, clipping and schedule written out, on the model or on its full linearisation."""
    start = setting.pretrained
    theta, mean, square = start.clone(), torch.zeros_like(start), torch.zeros_like(start)

    def model(vector, x):
        return functional_call(encoder, setting.space.unflatten(vector), (x,))

    def loss_at(vector, x, y):
        if mode == "standard":
            features = model(vector, x)
        else:
            jacobian = jacrev(lambda v: model(v, x))(start)
            features = model(start, x) + jacobian @ (vector - start)
        smooth = tuning.label_smoothing
        return functional.cross_entropy(head.logits(features), y, label_smoothing=smooth)

    generator = torch.Generator().manual_seed(seed)
    n_steps = tuning.epochs * math.ceil(len(inputs) / tuning.batch_size)
    step = 0
    for _ in range(tuning.epochs):
        order = torch.randperm(len(inputs), generator=generator)
        for index in torch.split(order, tuning.batch_size):
            gradient = torch.func.grad(loss_at)(theta, inputs[index], labels[index])
            gradient = gradient * min(1.0, tuning.clip_norm / (float(gradient.norm()) + 1e-6))
            rate = tuning.learning_rate * learning_rate_factor(step, n_steps, tuning.warmup)
            step += 1
            theta = theta * (1 - rate * tuning.weight_decay)
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            unbiased = mean / (1 - 0.9**step), square / (1 - 0.999**step)
            theta = theta - rate * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
    return theta - start


def _tuned(encoder, setting, head, inputs, labels, *, mode="standard", tuning=None, seed=3):
    return tune(
        encoder,
        setting.space,
        setting.pretrained,
        head,
        inputs,
        labels,
        recipe=get_recipe(mode),
        tuning=tuning or _tuning(),
        generator=torch.Generator().manual_seed(seed),
        device=CPU,
    )


@pytest.mark.parametrize("mode", ["standard", "tangent"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_tuning_is_clipped_adamw_on_the_model_of_its_mode(
    encoder, inputs, labels, head, mode, label_smoothing
):
    setting = setting_of(encoder, dtype=torch.float64)
    tuning = _tuning(label_smoothing=label_smoothing)
    found = _tuned(encoder, setting, head, inputs, labels, mode=mode, tuning=tuning).vector
    expected = _naive(encoder, setting, head, inputs, labels, mode=mode, tuning=tuning, seed=3)
    assert torch.allclose(found, expected, rtol=0, atol=1e-9)
    assert found.abs().max() > 1e-3


def test_the_two_modes_label_smoothing_and_seeds_lead_to_other_experts(
    encoder, inputs, labels, head
):
    setting = setting_of(encoder, dtype=torch.float64)
    vectors = [
        _tuned(encoder, setting, head, inputs, labels, **changes).vector
        for changes in (
            {},
            {"mode": "tangent"},
            {"tuning": _tuning(label_smoothing=0.2)},
            {"seed": 4},
        )
    ]
    for i, one in enumerate(vectors):
        for other in vectors[i + 1 :]:
            assert (one - other).abs().max() > 1e-5


def test_the_same_seed_gives_the_same_expert_bit_for_bit(encoder, inputs, labels, head):
    setting = setting_of(encoder, dtype=torch.float64)
    one, other = (_tuned(encoder, setting, head, inputs, labels) for _ in range(2))
    assert torch.equal(one.vector, other.vector)
    assert one.losses == other.losses


def test_tuning_lowers_the_loss_and_leaves_theta0_and_head_alone(encoder, inputs, labels, head):
    setting = setting_of(encoder, dtype=torch.float64)
    before = setting.pretrained.clone(), head.weight.clone()
    expert = _tuned(encoder, setting, head, inputs, labels, tuning=_tuning(epochs=6))
    assert len(expert.losses) == 6
    assert expert.losses[-1] < expert.losses[0]
    assert torch.equal(setting.pretrained, before[0])
    assert torch.equal(head.weight, before[1])
    assert not expert.vector.requires_grad
