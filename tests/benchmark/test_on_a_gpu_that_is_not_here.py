"""What lies where on a GPU: torch tells devices apart even where no numbers are computed."""

from __future__ import annotations

import pytest
import tiny_provider
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import taskmark.inference.device_cache
from taskmark import Given, WeightSpace
from taskmark.contract.head import Head
from taskmark.inference.items import Items
from taskmark.inference.readers import Setting, StandardReader, TangentReader

GPU = torch.device("cuda", 0)
SPACE = WeightSpace.of(tiny_provider.Encoder())  # of tensors that have numbers


@pytest.fixture(autouse=True)
def without_numbers():
    """Tensors that have a shape, a dtype and a device, and nothing else; mixing devices fails."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


class _There(tiny_provider.Encoder):
    """An encoder made on the GPU, since torch cannot move a module of such tensors."""

    def to(self, device):
        assert torch.device(device) == GPU
        return self


@pytest.fixture
def setting():
    with GPU:
        encoder = _There()
    return Setting(encoder, SPACE, torch.zeros(SPACE.size), GPU, batch_size=7)


@pytest.fixture
def vector(setting):
    return torch.zeros(setting.space.size)


def test_devices_are_told_apart():
    with pytest.raises(RuntimeError, match="devices"):
        torch.zeros(2, device=GPU) + torch.zeros(2)


@pytest.mark.parametrize("kind", [StandardReader, TangentReader])
def test_features_are_on_the_gpu_wherever_vector_and_images_are(setting, vector, kind):
    read = kind(setting)
    for place in (torch.device("cpu"), GPU):
        features = read.features(vector.to(place), torch.zeros(5, 48, device=place))
        assert (features.device, features.shape) == (GPU, (5, 8))


def test_gram_matrices_come_to_the_weights_that_they_are_multiplied_with(setting, vector):
    grams = StandardReader(setting).gram_matrices(vector, torch.zeros(5, 48), None)
    assert {gram.device.type for gram in grams.values()} == {"cpu"}
    on_gpu = StandardReader(setting).gram_matrices(vector.to(GPU), torch.zeros(5, 48), None)
    assert {gram.device for gram in on_gpu.values()} == {GPU}


@pytest.mark.parametrize("free", [0, 1 << 40])
def test_predictions_come_back_whether_images_stay_on_the_gpu_or_not(
    setting, vector, monkeypatch, free
):
    monkeypatch.setattr(taskmark.inference.device_cache, "_free_bytes", lambda _device: free)
    head, classes = Head(torch.zeros(3, 8), torch.zeros(3)), torch.zeros(20, dtype=torch.int64)
    work = {"a": Items(head, torch.zeros(20, 48), classes)}
    read = StandardReader(setting)
    (classes,) = read.predict(vector, [0.0, 0.5, 1.0], work).values()
    assert classes.shape == (3, 20)
    assert classes.device.type == "cpu"
    (grid,) = read.predict_grid((vector, vector), [0.0, 1.0], work).values()
    assert grid.shape == (2, 2, 20)
    assert grid.device.type == "cpu"


def test_a_head_goes_to_where_the_features_are(setting, vector):
    head = Head(torch.zeros(3, 8), torch.zeros(3))
    given = Given(
        pretrained=setting.pretrained,
        task_vectors=vector[None],
        space=setting.space,
        tasks=["a"],
        track="unlabelled",
        heads={"a": head},
        features=StandardReader(setting).features,
    )
    with torch.no_grad():
        assert given.logits(vector, "a", torch.zeros(5, 48)).device == GPU
