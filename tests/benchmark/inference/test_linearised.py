"""The linearised model against finite differences, the full Jacobian, and real attention."""

from __future__ import annotations

import contextlib

import pytest
import timm
import torch
from tiny_setting import setting_of
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from taskmark import WeightSpace
from taskmark.inference.linearised import differentiable_attention, value_and_tangent


def _at(encoder: nn.Module, vector: Tensor, inputs: Tensor) -> Tensor:
    state = WeightSpace.of(encoder).unflatten(vector)
    return functional_call(encoder, state, (inputs,))


def _random_vector(encoder: nn.Module, *, dtype: torch.dtype = torch.float64) -> Tensor:
    source = torch.Generator().manual_seed(3)
    return torch.randn(WeightSpace.of(encoder).size, generator=source, dtype=dtype)


class Attention(nn.Module):
    """Self-attention as torch offers it, whose fast path has no derivative."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs).mean(1)


def _vision_transformer() -> nn.Module:
    return timm.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=0
    )


def test_value_and_tangent_are_the_model_and_its_jacobian_times_the_vector(encoder, inputs):
    space = WeightSpace.of(encoder)
    pretrained = setting_of(encoder, dtype=torch.float64).pretrained
    vector = _random_vector(encoder)
    value, tangent = value_and_tangent(encoder, space, pretrained, vector, inputs)
    jacobian = jacrev(lambda v: _at(encoder, v, inputs))(pretrained)  # [B, D, P]
    assert torch.allclose(value, _at(encoder, pretrained, inputs), rtol=0, atol=1e-12)
    assert torch.allclose(tangent, jacobian @ vector, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("model", "shape"), [(_vision_transformer, (3, 3, 16, 16)), (Attention, (3, 5, 8))]
)
def test_the_tangent_of_attention_is_its_central_difference(model, shape):
    torch.manual_seed(0)
    encoder = model().double().eval()
    inputs = torch.randn(shape, dtype=torch.float64)
    setting = setting_of(encoder, dtype=torch.float64)
    vector = 0.1 * _random_vector(encoder)
    with torch.no_grad():
        value, tangent = value_and_tangent(
            encoder, setting.space, setting.pretrained, vector, inputs
        )
        forth, back = (_at(encoder, setting.pretrained + e * vector, inputs) for e in (1e-5, -1e-5))
    assert torch.allclose(value, encoder(inputs), rtol=0, atol=1e-10)
    assert torch.allclose(tangent, (forth - back) / 2e-5, rtol=0, atol=1e-7)
    assert tangent.abs().max() > 1e-2


def test_gradients_flow_into_the_vector_and_are_those_of_the_jacobian(encoder, inputs):
    setting = setting_of(encoder, dtype=torch.float64)
    vector = _random_vector(encoder).requires_grad_()
    _, tangent = value_and_tangent(encoder, setting.space, setting.pretrained, vector, inputs)
    tangent.sum().backward()
    jacobian = jacrev(lambda v: _at(encoder, v, inputs).sum())(setting.pretrained)  # [P]
    assert torch.allclose(vector.grad, jacobian, rtol=0, atol=1e-10)


@pytest.mark.parametrize("before", [True, False])
def test_the_fast_path_is_off_within_and_as_before_afterwards(before):
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(before)
    try:
        with contextlib.suppress(RuntimeError), differentiable_attention():
            assert not torch.backends.mha.get_fastpath_enabled()
            raise RuntimeError("midway")
        assert torch.backends.mha.get_fastpath_enabled() is before
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
