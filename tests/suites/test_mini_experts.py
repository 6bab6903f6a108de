"""Experts of mini from files: the encoder's own names, and one sentence for anything else."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from taskmark.errors import TaskmarkError
from taskmark.suites.mini import provider


@pytest.fixture
def weights():
    encoder = provider.backbone("image_text")[1]
    return {name: tensor.detach().clone() for name, tensor in encoder.named_parameters()}


def test_every_parameter_comes_back_in_order_as_it_is_in_the_file(weights, tmp_path):
    path = tmp_path / "signs.safetensors"
    save_file({name: tensor.half() for name, tensor in reversed(weights.items())}, path)
    found = provider.expert_weights("image_text", path)
    assert list(found) == list(weights)
    for name, tensor in found.items():
        assert tensor.dtype == torch.float16
        assert torch.equal(tensor, weights[name].half())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda w: w.pop("norm.weight"), "norm.weight"),
        (lambda w: w.update({"norm.bias": torch.zeros(3)}), "norm.bias"),
        (lambda w: w.update({"head.weight": torch.zeros(3, 3)}), "head.weight"),
    ],
)
def test_what_is_missing_misshapen_or_too_much_is_named(weights, tmp_path, change, named):
    change(weights)
    path = tmp_path / "signs.safetensors"
    save_file(weights, path)
    with pytest.raises(TaskmarkError, match=rf"signs\.safetensors.* {named}|\({named}\)"):
        provider.expert_weights("image_text", path)


def test_wrappers_and_buffers_leave_the_same_weights(weights, tmp_path):
    path = tmp_path / "signs.safetensors"
    buffers = {"position_ids": torch.arange(16), "norm.num_batches_tracked": torch.tensor(3)}
    save_file({f"module._orig_mod.{n}": t for n, t in (weights | buffers).items()}, path)
    found = provider.expert_weights("image_text", path)
    assert list(found) == list(weights)
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"norm.weight": torch.ones(128, dtype=torch.int8)}, "norm.weight is int8"),
        ({"a.lora_A.weight": torch.ones(1)}, "LoRA adapters"),
        ({"modul.norm.bias": torch.ones(1)}, "unexpected: modul.norm.bias"),
    ],
)
def test_what_is_refused_is_named_as_it_is_in_the_file(weights, tmp_path, more, told):
    path = tmp_path / "signs.safetensors"
    save_file(weights | more, path)
    with pytest.raises(TaskmarkError, match=told):
        provider.expert_weights("image_text", path)


def test_an_expert_of_another_backbone_is_refused(weights, tmp_path):
    path = tmp_path / "signs.safetensors"
    save_file(weights, path)
    with pytest.raises(TaskmarkError, match=r"does not fit the backbone 'supervised_large'.* more"):
        provider.expert_weights("supervised_large", path)
