"""The network: shapes, functional use, and weights that are checked before they are used."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from taskmark.suites.mini import architecture


@pytest.fixture(scope="module")
def network():
    return architecture.build(seed=0)


@pytest.fixture
def images():
    return torch.randint(
        0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def test_images_become_tokens_and_tokens_become_features(network, images):
    stem, encoder = network
    tokens = stem(images)
    assert tokens.shape == (3, 16, 128)
    assert encoder(tokens).shape == (3, 128)


def test_bytes_and_floats_are_the_same_pixels(network, images):
    stem, _ = network
    assert torch.equal(stem(images), stem(images.float()))


def test_the_network_is_small(network):
    n_parameters = sum(p.numel() for module in network for p in module.parameters())
    assert 500_000 <= n_parameters <= 800_000


def test_the_larger_network_has_twice_the_parameters_and_the_same_shapes(images):
    small, large = (architecture.build(size=s) for s in (architecture.SMALL, architecture.LARGE))
    n_small, n_large = (
        sum(p.numel() for module in network for p in module.parameters())
        for network in (small, large)
    )
    assert 1.8 < n_large / n_small < 2.5
    stem, encoder = large
    assert encoder(stem(images)).shape == (3, architecture.LARGE.width)


def test_a_seed_fixes_the_weights_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    (first, _), (again, _), (other, _) = (architecture.build(seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    assert not all(map(torch.equal, first.parameters(), other.parameters()))


def test_the_encoder_is_differentiable_forwards(network, images):
    stem, encoder = network
    tokens = stem(images).detach()
    weights = {name: p.detach() for name, p in encoder.named_parameters()}
    generator = torch.Generator().manual_seed(2)
    step = {n: 1e-3 * torch.randn(p.shape, generator=generator) for n, p in weights.items()}

    def features(parameters):
        return functional_call(encoder, parameters, (tokens,))

    with sdpa_kernel(SDPBackend.MATH):
        at_weights, slope = jvp(features, (weights,), (step,))
        ahead = features({n: p + step[n] for n, p in weights.items()})
        behind = features({n: p - step[n] for n, p in weights.items()})
    assert torch.allclose(at_weights, encoder(tokens), atol=1e-5)
    assert torch.allclose(slope, (ahead - behind) / 2, atol=5e-3)


@pytest.mark.parametrize("name", sorted(architecture.frozen_hashes()))
def test_shipped_weights_load_in_eval_mode_and_are_finite(name):
    stem, encoder = architecture.load(name)
    assert not stem.training
    assert not encoder.training
    assert all(p.isfinite().all() for module in (stem, encoder) for p in module.parameters())


def test_the_random_backbone_is_a_fresh_initialisation():
    """Up to rounding, since each processor's inverse error function has last digits of its own."""
    for shipped, fresh in zip(architecture.load("random"), architecture.build(0), strict=True):
        for one, other in zip(shipped.parameters(), fresh.parameters(), strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-7)  # other draws differ by 0.02


def test_every_documented_backbone_is_shipped():
    assert set(architecture.BACKBONES) == set(architecture.frozen_hashes())


def test_weights_with_another_hash_are_refused(tmp_path, monkeypatch):
    (tmp_path / "random.safetensors").write_bytes(save({"stem.x": torch.zeros(1)}))
    (tmp_path / "hashes.json").write_text(json.dumps({"random": "0" * 64}))
    monkeypatch.setattr(architecture, "WEIGHTS", tmp_path)
    with pytest.raises(
        ValueError, match=r"random\.safetensors has SHA-256 .* froze 0{64}; restore"
    ):
        architecture.load("random")


def test_an_unknown_backbone_is_named_with_the_choices():
    with pytest.raises(ValueError, match=r"no backbone 'vgg'.*random"):
        architecture.load("vgg")
