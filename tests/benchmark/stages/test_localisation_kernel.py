"""The empirical tangent kernel against a naive Jacobian in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from tiny_setting import setting_of
from torch import nn

from taskmark.contract.weights import WeightSpace
from taskmark.stages.localisation_kernel import Tangents, directions


def _tangents(encoder, **changes):
    setting = setting_of(encoder, dtype=torch.float64)
    return Tangents(encoder, setting.space, setting.pretrained, **changes)


def _jacobian(encoder, inputs):
    """[N, D, P], an image and a feature at a time."""
    parameters = list(encoder.parameters())
    rows = []
    for image in inputs:
        features = encoder(image[None])[0]
        for feature in features:
            found = torch.autograd.grad(feature, parameters, retain_graph=True)
            rows.append(torch.cat([part.reshape(-1) for part in found]))
    return torch.stack(rows).view(len(inputs), -1, rows[0].numel())


def _mean_over_features(jacobian):
    return torch.einsum("ndp,mdp->nm", jacobian, jacobian) / jacobian.shape[1]


def test_along_all_features_the_mean_is_the_kernel(encoder, inputs, source):
    expected = _mean_over_features(_jacobian(encoder, inputs))
    for basis in (torch.eye(8), torch.linalg.qr(torch.randn(8, 8, generator=source)).Q):
        found = _tangents(encoder).kernels(inputs, basis.double()).mean(0)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.max()))


def test_along_one_direction_it_is_the_kernel_of_that_output(encoder, inputs, source):
    jacobian = _jacobian(encoder, inputs)
    along = directions(3, 8, source)
    found = _tangents(encoder).kernels(inputs, along)
    for kernel, direction in zip(found, along, strict=True):
        rows = torch.einsum("ndp,d->np", jacobian, direction)
        torch.testing.assert_close(kernel, rows @ rows.T)


@pytest.mark.parametrize("width", [1, 7, 48, 500, 10_000])
def test_narrow_slices_of_the_weights_give_the_same(encoder, inputs, source, width):
    some, along = inputs[:4], directions(2, 8, source)
    narrow = _tangents(encoder, gradient_bytes=width * 4 * 8)
    n_weights = sum(parameter.numel() for parameter in encoder.parameters())
    assert narrow.passes(4, 2) == 4 * 2 * -(-n_weights // width)
    torch.testing.assert_close(narrow.kernels(some, along), _tangents(encoder).kernels(some, along))


def test_kernels_are_symmetric_and_positive_semi_definite(encoder, inputs, source):
    for kernel in _tangents(encoder).kernels(inputs, directions(3, 8, source)):
        assert torch.equal(kernel, kernel.T)
        values = torch.linalg.eigvalsh(kernel)
        assert values.min() > -1e-10 * values.max()
        assert values.max() > 0


def test_images_are_told_from_their_order(encoder, inputs, source):
    order = torch.randperm(20, generator=source)
    along = directions(2, 8, source)
    plain = _tangents(encoder).kernels(inputs, along)
    moved = _tangents(encoder).kernels(inputs[order], along)
    torch.testing.assert_close(moved, plain[:, order][:, :, order])


def test_images_of_unlike_sizes_are_taken_in_a_row(encoder, inputs, source):
    along = directions(2, 8, source)
    cut = _tangents(encoder).kernels([inputs[:7], inputs[7:]], along)
    torch.testing.assert_close(cut, _tangents(encoder).kernels(inputs, along))


def test_it_is_read_at_theta0_and_not_at_the_weights_of_the_module(encoder, inputs, source):
    tangents, along = _tangents(encoder), directions(2, 8, source)
    before = tangents.kernels(inputs, along)
    with torch.no_grad():
        encoder.second.weight.add_(1)
    torch.testing.assert_close(tangents.kernels(inputs, along), before)


def test_attention_is_differentiated_image_by_image(source):
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).double().eval()

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = encoder

        def forward(self, tokens):
            return self.layer(tokens).mean(1)

    tokens = torch.randn(3, 5, 8, generator=source, dtype=torch.float64)
    expected = _mean_over_features(_jacobian(Pooled(), tokens))
    found = _tangents(Pooled()).kernels(tokens, torch.eye(8)).mean(0)
    torch.testing.assert_close(found, expected)


def test_a_linear_encoder_has_the_kernel_of_its_inputs(inputs):
    encoder = nn.Linear(48, 3).double()
    found = Tangents(encoder, WeightSpace.of(encoder), torch.zeros(147, dtype=torch.float64))
    expected = inputs @ inputs.T + 1  # of the weight and of the bias
    torch.testing.assert_close(found.kernels(inputs, torch.eye(3)), expected.expand(3, 20, 20))


@settings(max_examples=25, deadline=None)
@for_all(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_directions_are_orthonormal_and_no_more_than_features(n, n_features, seed):
    found = directions(n, n_features, torch.Generator().manual_seed(seed))
    assert found.shape == (min(n, n_features), n_features)
    torch.testing.assert_close(found @ found.T, torch.eye(len(found), dtype=torch.float64))


def test_random_directions_estimate_a_mean_over_features_without_bias():
    matrix = torch.diag(torch.tensor([5.0, 1.0, 0.0, -2.0], dtype=torch.float64))
    source = torch.Generator().manual_seed(3)
    drawn = torch.stack([directions(2, 4, source) for _ in range(4000)])
    estimates = torch.einsum("srd,de,sre->s", drawn, matrix, drawn) / 2
    error = float(estimates.std()) / 4000**0.5
    assert abs(float(estimates.mean()) - 1.0) < 4 * error
    assert error < 0.05
