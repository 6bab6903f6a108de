"""Readers: every shortcut gives what the plain way gives."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from tiny_setting import setting_of
from torch.func import functional_call, jacrev

from taskmark import Head
from taskmark.errors import TaskmarkError
from taskmark.inference.items import Items
from taskmark.inference.readers import StandardReader, TangentReader, reader

SCALES = (0.0, 0.3, 0.7, 1.0, -1.5, 2.0)
MODES = ("standard", "tangent")


def _vectors(size: int, n: int = 2):
    source = torch.Generator().manual_seed(5)
    return [0.3 * torch.randn(size, generator=source, dtype=torch.float64) for _ in range(n)]


@pytest.fixture
def work(inputs):
    source = torch.Generator().manual_seed(6)

    def head(n: int, *, normalise: bool) -> Head:
        weight = torch.randn(n, 8, generator=source, dtype=torch.float32)
        return Head(weight, torch.randn(n, generator=source), normalise)

    return {
        "hills": _items(head(3, normalise=False), inputs),
        "lakes": _items(head(5, normalise=True), inputs[:11] + 1),
    }


def _items(head, inputs) -> Items:
    return Items(head, inputs, torch.zeros(len(inputs), dtype=torch.int64))


def _in_float32(work):
    return {task: _items(own.head, own.inputs.float()) for task, own in work.items()}


def _plain(encoder, setting, vector, inputs):
    return functional_call(encoder, setting.space.unflatten(vector), (inputs,))


def test_standard_features_are_those_of_the_edited_model(encoder, inputs):
    setting = setting_of(encoder, dtype=torch.float64)
    (vector,) = _vectors(setting.space.size, 1)
    expected = _plain(encoder, setting, setting.pretrained + vector, inputs)
    found = reader("standard", setting).features(vector, inputs)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


def test_tangent_features_are_the_brute_force_linearisation(encoder, inputs):
    setting = setting_of(encoder, dtype=torch.float64)
    (vector,) = _vectors(setting.space.size, 1)
    value = _plain(encoder, setting, setting.pretrained, inputs)
    jacobian = jacrev(lambda v: _plain(encoder, setting, v, inputs))(setting.pretrained)
    found = reader("tangent", setting).features(vector, inputs)
    assert torch.allclose(found, value + jacobian @ vector, rtol=0, atol=1e-10)


def test_the_model_can_be_linearised_elsewhere(encoder, inputs, work):
    setting = setting_of(encoder, dtype=torch.float64)
    vector, at = _vectors(setting.space.size)
    origin = setting.pretrained + at
    value = _plain(encoder, setting, origin, inputs)
    jacobian = jacrev(lambda v: _plain(encoder, setting, v, inputs))(origin)
    read = reader("tangent", setting)
    found = read.features(vector, inputs, at)
    assert torch.allclose(found, value + jacobian @ (vector - at), rtol=0, atol=1e-10)
    assert not torch.allclose(found, read.features(vector, inputs))
    assert torch.equal(read.features(vector, inputs, 0 * at), read.features(vector, inputs))

    read, vector, at = reader("tangent", setting_of(encoder.float())), vector.float(), at.float()
    work = _in_float32(work)
    answers = read.predict(vector, SCALES, work, at)
    for task, items in work.items():
        for row, scale in zip(answers[task], SCALES, strict=True):
            features = read.features(scale * vector, items.inputs, at)
            assert torch.equal(row, items.head.predict(features))


def test_a_model_that_is_not_linearised_is_linearised_nowhere(encoder, inputs, work):
    setting = setting_of(encoder, dtype=torch.float64)
    vector, at = _vectors(setting.space.size)
    read = reader("standard", setting)
    with pytest.raises(TaskmarkError, match="nothing is linearised"):
        read.features(vector, inputs, at)
    with pytest.raises(TaskmarkError, match="nothing is linearised"):
        read.predict(vector, SCALES, work, at)


def test_a_vector_goes_to_the_device_once_and_not_with_every_batch(encoder, inputs, monkeypatch):
    setting = setting_of(encoder, dtype=torch.float64, batch_size=4)
    (vector,) = _vectors(setting.space.size, 1)
    moved, move = [], torch.Tensor.to

    def counting(tensor, *rest, **more):
        moved.append(tensor.shape == vector.shape)
        return move(tensor, *rest, **more)

    read = reader("tangent", setting)
    head = Head(torch.ones(3, 8, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), False)
    monkeypatch.setattr(torch.Tensor, "to", counting)
    read.predict(vector, (1.0,), {"hills": _items(head, inputs)})
    assert len(inputs) > 2 * setting.batch_size
    assert sum(moved) == 1


def test_the_two_readers_differ_away_from_the_pretrained_model(encoder, inputs):
    setting = setting_of(encoder, dtype=torch.float64)
    (vector,) = _vectors(setting.space.size, 1)
    standard, tangent = (reader(mode, setting).features(vector, inputs) for mode in MODES)
    assert (standard - tangent).abs().max() > 1e-3
    zero = torch.zeros_like(vector)
    standard, tangent = (reader(mode, setting).features(zero, inputs) for mode in MODES)
    assert torch.allclose(standard, tangent, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_a_sweep_of_scales_predicts_what_single_points_predict(encoder, work, mode):
    encoder = encoder.float()
    work = _in_float32(work)
    setting = setting_of(encoder)
    vector = _vectors(setting.space.size, 1)[0].float()
    read = reader(mode, setting)
    swept = read.predict(vector, SCALES, work)
    for task, own in work.items():
        assert swept[task].shape == (len(SCALES), len(own))
        for place, scale in enumerate(SCALES):
            with torch.no_grad():
                alone = own.head.predict(read.features(scale * vector, own.inputs))
            assert torch.equal(swept[task][place], alone)
    assert any(len(swept["hills"][:, n].unique()) > 1 for n in range(20))


@pytest.mark.parametrize("mode", MODES)
def test_a_grid_predicts_what_single_points_predict(encoder, work, mode):
    encoder = encoder.float()
    work = _in_float32(work)
    setting = setting_of(encoder)
    first, second = (vector.float() for vector in _vectors(setting.space.size))
    alphas = (-1.0, 0.0, 0.5, 2.0)
    read = reader(mode, setting)
    grid = read.predict_grid((first, second), alphas, work)
    for task, own in work.items():
        assert grid[task].shape == (4, 4, len(own))
        for i, one in enumerate(alphas):
            for j, two in enumerate(alphas):
                with torch.no_grad():
                    merged = one * first + two * second
                    alone = own.head.predict(read.features(merged, own.inputs))
                assert torch.equal(grid[task][i, j], alone)
    assert not torch.equal(grid["hills"], grid["hills"].transpose(0, 1))


@pytest.mark.parametrize("mode", MODES)
def test_the_size_of_a_batch_changes_no_prediction(encoder, work, mode):
    encoder = encoder.float()
    work = _in_float32(work)
    found = []
    for batch_size in (1, 7, 64):
        # A reader takes an encoder over, so each gets its own.
        setting = setting_of(copy.deepcopy(encoder), batch_size=batch_size)
        vector = _vectors(setting.space.size, 1)[0].float()
        found.append(reader(mode, setting).predict(vector, SCALES, work))
    for other in found[1:]:
        assert all(torch.equal(other[task], found[0][task]) for task in work)


@pytest.mark.parametrize("mode", MODES)
def test_reading_changes_neither_theta0_nor_the_vector_nor_later_readings(encoder, work, mode):
    encoder = encoder.float()
    work = _in_float32(work)
    setting = setting_of(encoder)
    first, second = (vector.float() for vector in _vectors(setting.space.size))
    before = setting.pretrained.clone(), first.clone()
    read = reader(mode, setting)
    once = read.predict(first, SCALES, work)
    read.predict_grid((first, second), (0.0, 1.0), work)
    with torch.no_grad():
        read.features(second, work["hills"].inputs)
    again = read.predict(first, SCALES, work)
    assert torch.equal(setting.pretrained, before[0])
    assert torch.equal(first, before[1])
    assert all(torch.equal(once[task], again[task]) for task in work)


@pytest.mark.parametrize("mode", MODES)
def test_features_are_differentiable_in_the_vector_also_after_a_sweep(encoder, work, mode):
    encoder = encoder.float()
    inputs = work["hills"].inputs.float()
    setting = setting_of(encoder)
    read = reader(mode, setting)
    vector = _vectors(setting.space.size, 1)[0].float()
    read.predict(vector, (1.0,), {"hills": _items(work["hills"].head, inputs)})
    leaf = vector.clone().requires_grad_()
    read.features(leaf, inputs).sum().backward()
    assert leaf.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in encoder.parameters())


@pytest.mark.parametrize("mode", MODES)
def test_a_vision_transformer_is_read_alike_in_sweeps_and_at_points(mode):
    torch.manual_seed(0)
    encoder = timm.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=0
    ).eval()
    setting = setting_of(encoder, batch_size=64)
    inputs, vector = torch.randn(6, 3, 16, 16), 0.05 * torch.randn(setting.space.size)
    head = Head(torch.randn(4, 16), torch.zeros(4))
    read = reader(mode, setting)
    swept = read.predict(vector, (0.0, 1.0, 4.0), {"any": _items(head, inputs)})["any"]
    with torch.no_grad():
        points = [head.predict(read.features(s * vector, inputs)) for s in (0.0, 1.0, 4.0)]
    assert torch.equal(swept, torch.stack(points))


def test_a_mode_has_its_reader(encoder):
    assert isinstance(reader("standard", setting_of(encoder)), StandardReader)
    assert isinstance(reader("tangent", setting_of(encoder)), TangentReader)
