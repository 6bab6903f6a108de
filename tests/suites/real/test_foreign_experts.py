"""Experts that others tuned: three layouts to one, and what is refused."""

from __future__ import annotations

import json
import logging

import backbone_fixtures as fixtures
import open_clip
import pytest
import timm
import torch
from clip_vision_model import features, names_of_transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.func import functional_call

from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import layouts, loading, public_backbones, towers

pytestmark = pytest.mark.usefixtures("small")

CLIP = "clip-b-32-openai"


@pytest.fixture
def images():
    source = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=source)


def normalised(images, name=CLIP, dtype=torch.float32):
    facts = public_backbones.definition(name)
    mean, std = (torch.tensor(v, dtype=dtype).view(3, 1, 1) for v in (facts.mean, facts.std))
    return (images.to(dtype) / 255 - mean) / std


def expert(name=CLIP):
    """An expert in the library's own class: weights near the backbone's."""
    model = fixtures.network(fixtures.small()[name])
    source = torch.Generator().manual_seed(9)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=source)
    return model


def with_weights(found, images, name=CLIP):
    encoder = loading.load(name)
    assert list(found) == [n for n, _ in encoder.named_parameters()]
    assert all(t.dtype == torch.float32 and t.is_contiguous() for t in found.values())
    encoder.load_state_dict(found)
    with torch.no_grad():
        return encoder(images)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin"])
@pytest.mark.parametrize("prefix", ["visual.", "model.visual.", "module.model.visual."])
def test_an_expert_of_open_clip(tmp_path, images, prefix, suffix):
    model = expert()
    state = {f"{prefix}{name}": tensor for name, tensor in model.visual.state_dict().items()}
    path = tmp_path / f"dtd{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    found = with_weights(loading.expert_weights(CLIP, path), images)
    assert torch.allclose(found, model.encode_image(normalised(images)), rtol=0, atol=4e-6)


def test_what_is_left_of_the_text_tower_is_not_used_and_is_named(tmp_path, images, caplog):
    model = expert()
    # As ImageEncoder of the first papers writes it: the image tower, and leftovers beside it.
    state = {f"model.{n}": t for n, t in model.state_dict().items()}
    state["classification_head.weight"] = torch.zeros(3, 24)
    torch.save({"state_dict": state}, tmp_path / "dtd.pt")
    with caplog.at_level(logging.INFO):
        found = loading.expert_weights(CLIP, tmp_path / "dtd.pt")
    assert "model.token_embedding.weight" in caplog.text
    assert "model.logit_scale" in caplog.text
    expected = model.encode_image(normalised(images))
    assert torch.allclose(with_weights(found, images), expected, rtol=0, atol=4e-6)


@pytest.mark.parametrize("name", [CLIP, "clip-b-32-laion2b"])
@pytest.mark.parametrize("prefix", ["vision_model.", ""])
def test_an_expert_of_transformers_has_the_features_of_its_formula(tmp_path, images, prefix, name):
    state = names_of_transformers(expert(name).state_dict(), prefix)
    positions = {f"{prefix}embeddings.position_ids": torch.arange(17)}
    save_file(state | positions, tmp_path / "model.safetensors")
    found = loading.expert_weights(name, tmp_path / "model.safetensors")
    exact = {n.removeprefix(prefix): t.double() for n, t in state.items()}
    quick = public_backbones.definition(name).quick_gelu
    pixels = normalised(images, name, torch.float64)
    pooled = features(exact, pixels, heads=2, patch=8, quick_gelu=quick)
    projection = loading.load(name).tower.head.weight.double()  # which was not tuned
    expected = (pooled @ projection.T).float()
    assert torch.allclose(with_weights(found, images, name), expected, rtol=0, atol=4e-6)


def test_a_projection_that_was_tuned_is_the_experts_own(tmp_path):
    model = expert()
    state = names_of_transformers(model.state_dict())
    state["visual_projection.weight"] = model.visual.proj.data.T.contiguous()
    state["logit_scale"] = torch.tensor(4.6)
    save_file(state, tmp_path / "model.safetensors")
    found = loading.expert_weights(CLIP, tmp_path / "model.safetensors")
    assert torch.equal(found["tower.head.weight"], model.visual.proj.T)


def test_an_expert_of_timm_leaves_its_classifier_behind(tmp_path, images):
    model = expert("mae-b-16")
    torch.save(model.state_dict(), tmp_path / "dtd.pth")
    found = loading.expert_weights("mae-b-16", tmp_path / "dtd.pth")
    held = model.forward_features(normalised(images, "mae-b-16"))
    expected = model.forward_head(held, pre_logits=True)
    assert torch.allclose(with_weights(found, images, "mae-b-16"), expected, rtol=0, atol=4e-6)


def test_an_expert_of_the_control_and_one_of_the_tower_without_projection(tmp_path, images):
    for name in ("vit-b-16-random", "clip-b-16-openai-tower"):
        encoder = loading.load(name)
        state = {n: t + 0.125 for n, t in encoder.tower.state_dict().items()}
        save_file(state, tmp_path / "dtd.safetensors")
        found = loading.expert_weights(name, tmp_path / "dtd.safetensors")
        assert all(torch.equal(found[f"tower.{n}"], t) for n, t in state.items())
        with torch.no_grad():
            assert torch.equal(
                functional_call(encoder, found, (images,)), with_weights(found, images, name)
            )


def test_half_precision_stays_what_it_is(tmp_path):
    state = {n: t.half() for n, t in names_of_transformers(expert().state_dict()).items()}
    save_file(state, tmp_path / "dtd.safetensors")
    found = loading.expert_weights(CLIP, tmp_path / "dtd.safetensors")
    single = {name for name, tensor in found.items() if tensor.dtype != torch.float16}
    assert single == {"tower.head.weight"}  # the backbone's own, which the file lacks
    assert torch.equal(found["tower.norm.weight"], state["vision_model.post_layernorm.weight"])


def test_wrappers_within_buffers_and_what_is_ignored_leave_the_same_weights(tmp_path):
    plain = {n: t for n, t in expert().state_dict().items() if n.startswith("visual.")}
    torch.save(plain, tmp_path / "plain.pt")
    expected = loading.expert_weights(CLIP, tmp_path / "plain.pt")
    wrapped = {
        name.replace("resblocks.0.", "resblocks.0._checkpoint_wrapped_module."): tensor
        for name, tensor in plain.items()
    }
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in wrapped.items()}
    more = {"n_averaged": torch.tensor(3), "module._orig_mod.visual.ids": torch.arange(3)}
    torch.save({"module": wrapped | more, "epoch": 3}, tmp_path / "wrapped.pt")
    found = loading.expert_weights(CLIP, tmp_path / "wrapped.pt")
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    torch.save(plain | {"visual.aux.weight": torch.ones(1)}, tmp_path / "more.pt")
    found = loading.expert_weights(CLIP, tmp_path / "more.pt", ignore=("aux.*",))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def spoilt(how):
    state = {n: t for n, t in expert().state_dict().items() if n.startswith("visual.")}
    if how == "missing":
        del state["visual.ln_pre.weight"], state["visual.transformer.resblocks.1.attn.in_proj_bias"]
    elif how == "unexpected":
        state["visual.ln_mid.weight"] = torch.zeros(3)
    elif how == "strange":
        state["optimizer.step"] = torch.zeros(3)
    elif how == "shape":
        state["visual.conv1.weight"] = torch.zeros(32, 3, 16, 16)
    elif how == "diverged":
        state["visual.ln_post.bias"][3] = torch.nan
    elif how == "integers":
        state["visual.ln_post.bias"] = torch.zeros(32, dtype=torch.int32)
    elif how == "two":
        state |= {f"ema.{name}": tensor for name, tensor in state.items()}
    elif how == "convolutional":
        state = {"stages.0.blocks.0.conv_dw.weight": torch.zeros(3)}
    return state


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", r"missing: norm_pre\.weight, blocks\.1\.attn\.qkv\.bias\); give"),
        ("unexpected", r"unexpected: ln_mid\.weight"),
        ("strange", r"unexpected: optimizer\.step"),
        ("shape", r"patch_embed\.proj\.weight is \(32, 3, 16, 16\) instead of \(32, 3, 8, 8\)"),
        ("diverged", r"'norm\.bias' of .*dtd\.pt' has numbers that are not finite \(nan\)"),
        ("integers", r"of another kind: norm\.bias is int32"),
        ("two", r"2 image towers in these weights \(visual\., ema\.visual\.\)"),
        ("convolutional", r"names such as stages\.0\.blocks\.0\.conv_dw\.weight are of no layout"),
    ],
)
def test_another_architecture_is_refused_by_what_differs(tmp_path, how, told):
    torch.save(spoilt(how), tmp_path / "dtd.pt")
    with pytest.raises(TaskmarkError, match=told):
        loading.expert_weights(CLIP, tmp_path / "dtd.pt")


def test_queries_without_keys_are_missing(tmp_path):
    state = names_of_transformers(expert().state_dict())
    del state["vision_model.encoder.layers.0.self_attn.k_proj.weight"]
    save_file(state, tmp_path / "dtd.safetensors")
    with pytest.raises(TaskmarkError, match=r"missing: blocks\.0\.attn\.qkv\.weight"):
        loading.expert_weights(CLIP, tmp_path / "dtd.safetensors")


@pytest.mark.parametrize("nested", [True, False])
def test_an_expert_of_another_activation_is_refused(tmp_path, nested):
    save_file(names_of_transformers(expert().state_dict()), tmp_path / "model.safetensors")
    for activation, fits in (("quick_gelu", True), ("gelu", False)):
        told = {"hidden_act": activation}
        told = {"vision_config": told} if nested else told
        (tmp_path / "config.json").write_text(json.dumps(told), "utf-8")
        if fits:
            loading.expert_weights(CLIP, tmp_path / "model.safetensors")
        else:
            with pytest.raises(TaskmarkError, match=r"computes gelu, as config\.json says"):
                loading.expert_weights(CLIP, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(TaskmarkError, match=r"config\.json is damaged"):
        loading.expert_weights(CLIP, tmp_path / "model.safetensors")


def test_a_file_without_a_tensor_is_of_no_layout(tmp_path):
    save_file({}, tmp_path / "dtd.safetensors")
    with pytest.raises(TaskmarkError, match="no layout"):
        loading.expert_weights(CLIP, tmp_path / "dtd.safetensors")


def test_at_full_size_the_three_layouts_are_one_function(monkeypatch):
    monkeypatch.delenv("TASKMARK_BACKBONES_TABLE")
    facts = public_backbones.definition(CLIP)
    config = {**open_clip.get_model_config(facts.clip), "text_cfg": fixtures.TEXT}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = open_clip.CLIP(**config).eval()
        pixels = torch.randn(1, 3, 224, 224)
    state = model.state_dict()
    renamed = names_of_transformers(state)
    assert len(renamed) == 199  # what CLIPVisionModel of this size writes
    named = layouts.by_names_of_timm({n: t for n, t in state.items() if n.startswith("visual.")})
    other = layouts.by_names_of_timm(renamed)
    assert (named.layout, other.layout) == ("open_clip", "transformers")
    for name, tensor in other.tensors.items():
        assert torch.equal(tensor, named.tensors[name])
    tower = towers.holding(named.tensors, facts)
    with torch.no_grad():
        expected = model.encode_image(pixels)
        assert (tower(pixels) - expected).abs().max() < 2e-7 * expected.norm()
        exact = {n.removeprefix("vision_model."): t.double() for n, t in renamed.items()}
        pooled = features(exact, pixels.double(), heads=12, patch=32, quick_gelu=True)
        assert torch.allclose(
            (pooled @ model.visual.proj.double()).float(), expected, rtol=0, atol=2e-5
        )


def _layouts_of_one_expert():
    state = {n: t for n, t in expert().state_dict().items() if n.startswith("visual.")}
    visual = {n.removeprefix("visual."): t for n, t in state.items()}
    timm_like = layouts.by_names_of_timm(state).tensors
    theirs = names_of_transformers(state, "")
    theirs["visual_projection.weight"] = state["visual.proj"].T
    return {"open_clip": visual, "transformers": theirs, "timm": timm_like}


PREFIXES = st.lists(st.text("abz_0", min_size=1, max_size=6), max_size=3)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layout=st.sampled_from(["open_clip", "transformers", "timm"]),
    words=PREFIXES,
    order=st.randoms(use_true_random=False),
    factor=st.sampled_from([-2.0, 0.5, 3.0]),
)
def test_any_prefix_and_any_order_give_the_same_and_the_map_is_linear(layout, words, order, factor):
    known = _layouts_of_one_expert()
    prefix = "".join(f"{word}." for word in words)
    names = list(known[layout])
    order.shuffle(names)
    inner = {n: f"{prefix}{n}" for n in names}
    found = layouts.by_names_of_timm({inner[n]: factor * known[layout][n] for n in names})
    assert (found.layout, found.unused) == (layout, ())
    assert set(found.tensors) == set(known["timm"])
    assert all(torch.equal(t, factor * known["timm"][n]) for n, t in found.tensors.items())


def test_the_map_to_timm_is_that_of_timm():
    state = {n: t for n, t in expert().state_dict().items() if n.startswith("visual.")}
    ours = layouts.by_names_of_timm(state).tensors
    tower = towers.build(public_backbones.definition(CLIP))
    theirs = timm.models.vision_transformer.checkpoint_filter_fn(state, tower)
    assert not theirs.pop("head.bias").any()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
