"""The network of mini-language: what it scores, what padding does, and what is shipped."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError

import pytest
import torch
from safetensors.torch import save_file
from torch.func import functional_call

from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError
from taskmark.inference.linearised import value_and_tangent
from taskmark.suite.provider import provider_version
from taskmark.suites.mini_language import generated_tasks as tasks
from taskmark.suites.mini_language import language_model, provider
from taskmark.suites.mini_language.alphabet import encode, padded

pytest.importorskip("transformers", reason="needs the extra `language`")


@pytest.fixture(scope="module")
def model():
    return provider.backbone("random")[1]


def test_option_scores_are_sums_over_the_tokens_of_each_option(model):
    for task in ("mood", "odd", "agree"):
        items, inputs = tasks.items(task)["test"][:5], tasks.load(task).test.images[:5]
        with torch.no_grad():
            scores = model(torch.from_numpy(inputs))
        for item, own in zip(items, scores, strict=True):
            for option, score in zip(item.parts[1:], own, strict=True):
                tokens = encode(item.prompt + option)
                with torch.no_grad():
                    log_p = model(torch.tensor([tokens]))[0].log_softmax(-1)
                places = range(len(item.prompt), len(tokens))
                told = sum(log_p[k - 1, tokens[k]] for k in places)
                torch.testing.assert_close(score, told, rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing_before_it(model):
    short = torch.from_numpy(padded(["add 1+2=3\n"], 10))
    long = torch.from_numpy(padded(["add 1+2=3\n"], 40))
    with torch.no_grad():
        torch.testing.assert_close(model(short), model(long)[:, :10])


def test_the_linearised_model_is_the_derivative_of_the_model(model):
    space = WeightSpace.of(model)
    start = space.flatten(dict(model.named_parameters())).double()
    own = language_model.LanguageModel().double().eval()
    lines = torch.from_numpy(tasks.load("mood").test.images[:2])
    vector = 0.02 * torch.randn(len(start), generator=torch.Generator().manual_seed(0)).double()
    _, tangent = value_and_tangent(own, space, start, vector, lines)
    step = 1e-3  # norms are float32 in any Llama, so no smaller one
    with torch.no_grad():
        ahead, behind = (
            functional_call(own, space.views(start + sign * step * vector), (lines,))
            for sign in (1, -1)
        )
    torch.testing.assert_close(tangent, (ahead - behind) / (2 * step), rtol=1e-2, atol=1e-2)


def test_every_backbone_is_shipped_with_its_hash_and_is_small():
    for name in language_model.BACKBONES:
        path = language_model.WEIGHTS / f"{name}.safetensors"
        assert path.stat().st_size < 6e6
        assert provider.weights_sha256(name) == language_model.frozen_hashes()[name]
        tensors = language_model.read_weights(name)
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_weights_that_are_not_those_shipped_are_refused(tmp_path, monkeypatch):
    (tmp_path / "hashes.json").write_text(json.dumps({"open": "0" * 64}))
    (tmp_path / "open.safetensors").write_bytes(b"another")
    monkeypatch.setattr(language_model, "WEIGHTS", tmp_path)
    with pytest.raises(TaskmarkError, match="000000000000 was shipped; reinstall taskmark"):
        language_model.read_weights("open")
    with pytest.raises(TaskmarkError, match="no backbone 'large'"):
        language_model.read_weights("large")


def test_without_transformers_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(TaskmarkError, match=r"run `pip install 'taskmark\[language\]'`"):
        provider.backbone("random")


def test_an_expert_file_has_the_names_that_transformers_saves(model, tmp_path):
    tensors = {name: p.detach() + 1 for name, p in model.llama.named_parameters()}
    save_file(tensors, tmp_path / "expert.safetensors")
    found = provider.expert_weights("random", tmp_path / "expert.safetensors")
    assert set(found) == {name for name, _ in model.named_parameters()}


def test_a_run_without_transformers_ends_before_anything_is_planned(monkeypatch):
    def missing(_name):
        raise PackageNotFoundError

    monkeypatch.setattr(provider, "version", missing)
    with pytest.raises(TaskmarkError, match=r"needs transformers, .* run `pip install 'taskmark"):
        provider_version("taskmark.suites.mini_language.provider")


def test_each_version_of_transformers_is_another_provider(monkeypatch):
    monkeypatch.setattr(provider, "version", lambda _name: "5.24.1rc2")
    assert provider_version("taskmark.suites.mini_language.provider") == 52412
    monkeypatch.setattr(provider, "version", lambda _name: "5.24.0")
    assert provider_version("taskmark.suites.mini_language.provider") == 52400
