"""Backbones by name: features as the library's own model gives them, and files that do not fit."""

from __future__ import annotations

import hashlib
import shutil

import backbone_fixtures as fixtures
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.layers import set_fused_attn
from torch.func import functional_call

from taskmark import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.inference.gram import gather_gram_matrices
from taskmark.inference.linearised import value_and_tangent
from taskmark.suites.real.backbones import loading, public_backbones, towers
from taskmark.suites.real.backbones.backbone_lock import FILE as LOCK_FILE
from taskmark.suites.real.backbones.backbone_lock import read_lock, write_lock
from taskmark.suites.real.backbones.encoder import TowerEncoder

NAMES = list(public_backbones._read(public_backbones.FILE))


@pytest.fixture
def images():
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=source)


def normalised(images, name):
    facts = public_backbones.definition(name)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (facts.mean, facts.std))
    return (images / 255 - mean) / std


def of_library(name, images):
    """Features by the library's own model, which holds the weights by itself."""
    table, file = fixtures.small()[name], fixtures.network(fixtures.small()[name])
    with torch.no_grad():
        if table["library"] == "timm":
            return file.forward_head(file.forward_features(images), pre_logits=True)
        if table.get("projected", True):
            return file.encode_image(images)
        file.visual.proj = None
        return file.visual(images)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", [n for n in NAMES if n not in {"dinov2-b-14", "vit-b-16-random"}])
def test_features_are_those_of_the_library(name, images):
    encoder = loading.load(name)
    assert not encoder.training
    expected = of_library(name, normalised(images, name))
    assert torch.allclose(encoder(images), expected, rtol=0, atol=4e-6)
    assert expected.std() > 0.1


def test_positions_of_another_resolution_are_resampled_as_timm_does_it(small, images):
    table = fixtures.small()["dinov2-b-14"]
    own = timm.create_model(
        table["model"],
        pretrained=True,
        pretrained_cfg_overlay={"file": str(small.file("dinov2-b-14")), "num_classes": 7},
        num_classes=0,
        **table["options"],
    ).eval()
    found = loading.load("dinov2-b-14")
    assert torch.equal(found.tower.pos_embed, own.pos_embed)
    expected = own(normalised(images, "dinov2-b-14"))
    assert torch.allclose(found(images), expected, rtol=0, atol=4e-6)


@pytest.mark.usefixtures("small")
def test_images_of_another_side_are_resized_as_pillow_does_it():
    encoder = loading.load("vit-s-16-augreg-in21k")
    levels = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    ours = torch.from_numpy(levels).permute(2, 0, 1)[None]
    pillow = np.asarray(Image.fromarray(levels).resize((32, 32), Image.Resampling.BICUBIC))
    theirs = torch.from_numpy(pillow.copy()).permute(2, 0, 1)[None]
    assert torch.allclose(encoder(ours), encoder(theirs), rtol=0, atol=0.02)
    assert (encoder(ours) - encoder(theirs.flip(-1))).abs().max() > 0.2


@pytest.mark.parametrize("size", [20, 48])
def test_preparing_images_is_the_same_under_autocast_and_has_a_tangent(size):
    seen = []

    class Tower(torch.nn.Linear):
        def forward(self, pixels):
            seen.append(pixels)
            return super().forward(pixels.flatten(1))

    encoder = TowerEncoder(Tower(3 * 32 * 32, 2), resolution=32, mean=(0.4,) * 3, std=(0.3,) * 3)
    source = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=source)
    state = {name: tensor.detach() for name, tensor in encoder.named_parameters()}
    value, tangent = torch.func.jvp(
        lambda s: functional_call(encoder, s, (levels,)), (state,), (state,)
    )
    assert torch.allclose(tangent, value, atol=1e-5)  # the map is linear in its weights
    seen.clear()
    encoder(levels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(levels).dtype == torch.bfloat16
    assert seen[1].dtype == torch.float32
    assert torch.equal(seen[0], seen[1])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", NAMES)
def test_all_that_can_be_edited_is_the_tower_and_all_of_it_counts(name, images):
    encoder = loading.load(name)
    assert set(dict(encoder.named_parameters())) == set(encoder.state_dict())
    assert all(part.startswith("tower.") for part in encoder.state_dict())
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    encoder(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())
    if "clip" in name:
        assert "tower.head.bias" not in encoder.state_dict()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["vit-b-16-augreg-in21k", "dinov2-b-14", "clip-b-32-openai"])
def test_gram_matrices_cover_every_matrix_of_attention_and_of_mlps(name, images):
    encoder = loading.load(name)
    with torch.no_grad(), gather_gram_matrices(encoder) as found:
        encoder(images)
    matrices = {n for n, p in encoder.named_parameters() if p.ndim == 2}
    layers = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    assert {f"tower.blocks.{k}.{layer}.weight" for k in (0, 1) for layer in layers} <= matrices
    assert set(found) == matrices
    n_rows = 3 * (16 + 1)  # images, times tokens and the class token
    normed = found["tower.blocks.0.attn.qkv.weight"]  # of what a layer norm without scale leaves
    assert normed.trace() == pytest.approx(_square(encoder, images, n_rows))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["vit-b-16-augreg-in21k", "dinov2-b-14", "clip-b-32-openai"])
def test_the_weights_of_attention_alone_have_heads(name):
    heads = {part.name: part.heads for part in WeightSpace.of(loading.load(name))}
    assert all(n == (2 if ".attn." in part else None) for part, n in heads.items())


def _square(encoder, images, n_rows):
    inputs = []
    hook = encoder.tower.blocks[0].norm1.register_forward_hook(lambda *a: inputs.append(a[2]))
    with torch.no_grad():
        encoder(images)
    hook.remove()
    assert inputs[0][..., 0].numel() == n_rows
    return inputs[0].double().square().sum().item()


def rotary():
    """A tower with rotary positions, as DINOv3 has them, and no learnt ones."""
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = timm.create_model("vit_small_patch16_dinov3", num_classes=0, **options)
    return TowerEncoder(tower, resolution=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).eval()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["mae-b-16", "dinov2-b-14", "clip-b-32-openai", "rotary"])
def test_the_tangent_of_a_tower_is_its_central_difference(name, images):
    set_fused_attn(enable=True)
    encoder = (rotary() if name == "rotary" else loading.load(name)).double()
    space = WeightSpace.of(encoder)
    pretrained = torch.cat([p.detach().flatten() for p in encoder.parameters()])
    source = torch.Generator().manual_seed(3)
    vector = 0.01 * torch.randn(space.size, generator=source, dtype=torch.float64)

    def at(step):
        state = space.unflatten(pretrained + step * vector)
        return functional_call(encoder, state, (images,))

    with torch.no_grad():
        value, tangent = value_and_tangent(encoder, space, pretrained, vector, images)
        forth, back = at(1e-4), at(-1e-4)
    assert torch.allclose(value, encoder(images), rtol=0, atol=1e-10)
    assert torch.allclose(tangent, (forth - back) / 2e-4, rtol=0, atol=1e-6)
    assert tangent.abs().max() > 0.05


@pytest.mark.usefixtures("small")
def test_loading_leaves_the_random_state_alone_and_draws_the_control_the_same_each_time():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (loading.load("vit-b-16-random").state_dict() for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    whole = hashlib.sha256()
    for name, tensor in first.items():
        whole.update(name.removeprefix("tower.").encode() + tensor.numpy().tobytes())
    assert loading.weights_sha256("vit-b-16-random") == whole.hexdigest()


def test_the_control_that_is_shipped_is_locked_and_drawn_so():
    encoder = loading.load("vit-b-16-random")
    locked = read_lock(LOCK_FILE)["vit-b-16-random"].sha256
    assert loading.sha256_of(encoder.tower) == locked
    drawn = encoder.tower.blocks[3].mlp.fc1.weight
    assert drawn.dtype == torch.float32
    assert drawn.std().item() == pytest.approx(0.02, rel=0.01)
    assert torch.equal(drawn, drawn.bfloat16().float())  # so that all processors agree on it


def test_the_hash_is_that_of_the_file(small):
    for name in ("mae-b-16", "clip-l-14-laion2b"):
        content = small.file(name).read_bytes()
        assert loading.weights_sha256(name) == hashlib.sha256(content).hexdigest()


def test_a_file_in_a_folder_of_ones_own_comes_first_and_needs_no_lock(small, tmp_path, monkeypatch):
    write_lock({}, tmp_path / "lock.toml")
    monkeypatch.setenv("TASKMARK_BACKBONES_LOCK", str(tmp_path / "lock.toml"))
    monkeypatch.setenv("TASKMARK_BACKBONES", str(tmp_path))
    with pytest.raises(TaskmarkError, match=r"'mae-b-16' is unresolved.*backbones lock mae-b-16"):
        loading.load("mae-b-16")
    mine = {n: t + 1 for n, t in load_file(small.file("mae-b-16")).items()}
    save_file(mine, tmp_path / "mae-b-16.safetensors")
    found = loading.load("mae-b-16").tower.state_dict()
    assert all(torch.equal(tensor, mine[name]) for name, tensor in found.items())


@pytest.mark.usefixtures("small")
def test_a_backbone_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TaskmarkError, match=r"not on this machine.*backbones fetch dino-b-16"):
        loading.load("dino-b-16")
    with pytest.raises(TaskmarkError, match="did you mean 'dino-b-16'"):
        loading.load("dino-b16")


@pytest.mark.usefixtures("small")
def test_weights_that_are_not_those_that_are_locked_are_refused(tmp_path, monkeypatch):
    locks = read_lock()
    for name in ("mae-b-16", "vit-b-16-random"):
        locks[name] = locks[name].model_copy(update={"sha256": "0" * 64})
    write_lock(locks, tmp_path / "lock.toml")
    monkeypatch.setenv("TASKMARK_BACKBONES_LOCK", str(tmp_path / "lock.toml"))
    with pytest.raises(TaskmarkError, match=r"but 0{64} is locked; remove .*/blobs/"):
        loading.load("mae-b-16")
    with pytest.raises(TaskmarkError, match=r"this machine draws.*but 0{64} is locked"):
        loading.load("vit-b-16-random")


def test_a_file_of_another_network_is_refused_by_names_and_shapes(small, tmp_path, monkeypatch):
    monkeypatch.setenv("TASKMARK_BACKBONES", str(tmp_path))
    write_lock({}, tmp_path / "lock.toml")
    monkeypatch.setenv("TASKMARK_BACKBONES_LOCK", str(tmp_path / "lock.toml"))
    shutil.copy(small.file("mae-b-16"), tmp_path / "dinov2-b-14.safetensors")
    with pytest.raises(TaskmarkError, match=r"missing: blocks\.0\.ls1\.gamma"):
        loading.load("dinov2-b-14")
    shutil.copy(small.file("dinov2-b-14"), tmp_path / "mae-b-16.safetensors")
    with pytest.raises(TaskmarkError, match=r"unexpected: blocks\.0\.ls1\.gamma"):
        loading.load("mae-b-16")


def test_at_full_size_a_file_of_timm_gives_the_features_of_timm(tmp_path, monkeypatch):
    facts = public_backbones._read(public_backbones.FILE)["vit-s-16-augreg-in21k"]
    monkeypatch.setenv("TASKMARK_BACKBONES", str(tmp_path))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        own = timm.create_model(facts.model, num_classes=21843).eval()
    save_file(own.state_dict(), tmp_path / "vit-s-16-augreg-in21k.safetensors")
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        found = loading.load("vit-s-16-augreg-in21k")(images)
        features = own.forward_features((images / 255 - 0.5) / 0.5)
        assert torch.allclose(found, own.forward_head(features, pre_logits=True), atol=1e-5)


@pytest.mark.usefixtures("small")
def test_a_tower_with_computed_buffers_holds_them():
    facts = public_backbones.definition("mae-b-16").model_copy(
        update={"model": "vit_small_patch16_dinov3"}
    )
    built = towers.build(facts)
    held = towers.holding(built.state_dict(), facts)
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(held(images), built(images))
