"""Text embeddings and the logit scale against open_clip's own model."""

from __future__ import annotations

import backbone_fixtures as fixtures
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import public_backbones, text
from taskmark.suites.real.backbones.backbone_lock import write_lock

pytestmark = pytest.mark.usefixtures("small")

OF_TEXT = [n for n, b in public_backbones._read(public_backbones.FILE).items() if b.has_text]
PROMPTS = ["a photo of a cat", "una ciudad, desde arriba", "", "word " * 200]


@pytest.mark.parametrize("name", OF_TEXT)
def test_embeddings_and_scale_are_those_of_open_clip(name):
    own = fixtures.network(fixtures.small()[name])
    with torch.no_grad():
        expected = own.encode_text(open_clip.tokenize(PROMPTS), normalize=True)
    found = text.embed_prompts(name, PROMPTS)
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    assert torch.allclose(found.norm(dim=1), torch.ones(len(PROMPTS)))
    assert (found[0] - found[1]).abs().max() > 0.01
    assert text.logit_scale(name) == pytest.approx(own.logit_scale.exp().item())
    assert found.dtype == torch.float32
    found.mul_(2.0)  # an ordinary tensor, not one of inference mode
    assert (found @ torch.zeros(24, requires_grad=True)).requires_grad


def test_more_prompts_than_fit_a_batch_are_embedded_in_order(monkeypatch):
    monkeypatch.setattr(text, "_BATCH", 3)
    some = [f"number {k}" for k in range(8)]
    whole = text.embed_prompts("clip-b-32-openai", some)
    for k in (0, 4, 7):
        one = text.embed_prompts("clip-b-32-openai", [some[k]])
        assert torch.allclose(whole[k], one[0], rtol=0, atol=1e-6)


def test_the_file_is_read_once(small, monkeypatch):
    text._model.cache_clear()
    read = []
    monkeypatch.setattr(text, "read_tensors", lambda path: read.append(path) or load_file(path))
    for _ in range(3):
        text.embed_prompts("clip-b-32-openai", ["a cat"])
        text.logit_scale("clip-b-32-openai")
    assert read == [small.file("clip-b-32-openai")]


@pytest.mark.parametrize("name", ["mae-b-16", "clip-b-16-openai-tower", "vit-b-16-random"])
def test_a_backbone_without_text_says_so(name):
    for call in (text.logit_scale, lambda name: text.embed_prompts(name, ["a cat"])):
        with pytest.raises(TaskmarkError, match=f"{name!r} has no text tower; its heads are prob"):
            call(name)


@pytest.mark.parametrize(
    "change",
    [{"clip": "ViT-B-32"}, {"quick_gelu": False}, {"pretrained": "laion400m_e32"}],
)
def test_an_activation_that_is_not_that_of_the_weights_is_refused(change):
    wrong = public_backbones.definition("clip-b-32-openai").model_copy(update=change)
    if "pretrained" in change:
        text._config(wrong)  # open_clip itself offers these weights for QuickGELU
        return
    with pytest.raises(TaskmarkError, match="differ in their activation, GELU or QuickGELU"):
        text._config(wrong)


def test_an_unknown_model_of_open_clip_is_refused():
    wrong = public_backbones.definition("clip-b-32-openai").model_copy(update={"clip": "ViT-B-33"})
    with pytest.raises(TaskmarkError, match="did you mean 'ViT-B-32'"):
        text._config(wrong)


def test_a_file_with_another_text_tower_is_refused(small, tmp_path, monkeypatch):
    state = load_file(small.file("clip-b-32-openai"))
    del state["ln_final.weight"]
    state["ln_extra.weight"] = torch.zeros(3)
    save_file(state, tmp_path / "clip-b-32-openai.safetensors")
    write_lock({}, tmp_path / "lock.toml")
    monkeypatch.setenv("TASKMARK_BACKBONES_LOCK", str(tmp_path / "lock.toml"))
    monkeypatch.setenv("TASKMARK_BACKBONES", str(tmp_path))
    with pytest.raises(
        TaskmarkError, match=r"missing: ln_final\.weight; unexpected: ln_extra\.weight"
    ):
        text.logit_scale("clip-b-32-openai")
