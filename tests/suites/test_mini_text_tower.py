"""The text tower: a closed vocabulary that never fails, unit rows, zero-shot above chance."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from taskmark.suites.mini import architecture, tasks
from taskmark.suites.mini.text_tower import (
    LENGTH,
    UNKNOWN,
    VOCABULARY,
    embed_prompts,
    logit_scale,
    tokenize,
)


def test_the_vocabulary_has_no_word_twice():
    assert len(set(VOCABULARY)) == len(VOCABULARY)


def test_strangers_read_as_unknown_and_plurals_as_singulars():
    row = tokenize(["Two zebras, stars"])[0]
    words = [VOCABULARY[k] for k in row[row > 0].tolist()]
    assert words == ["two", UNKNOWN, "star"]


def test_long_and_empty_prompts_do_no_harm():
    rows = embed_prompts("image_text", ["red " * 100, ""])
    assert tokenize(["red " * 100]).shape == (1, LENGTH)
    assert rows.isfinite().all()


def test_embeddings_are_unit_rows_that_tell_prompts_apart():
    rows = embed_prompts("image_text", ["a red car", "a blue car", "a zebra"])
    assert rows.shape == (3, architecture.SMALL.width)
    assert torch.allclose(rows.norm(dim=1), torch.ones(3), atol=1e-5)
    assert (rows[0] - rows[1]).norm() > 0.1


def test_a_prompt_reads_the_same_alone_and_in_company():
    alone, among = (
        embed_prompts("image_text", ["a red car"]),
        embed_prompts("image_text", ["a striped green and yellow pattern", "a red car"]),
    )
    assert torch.allclose(alone[0], among[1], atol=1e-5)


def test_a_backbone_without_text_is_refused():
    with pytest.raises(ValueError, match="'random' has no text tower"):
        logit_scale("random")


@pytest.mark.parametrize("name", ["scenes", "aerial"])
def test_zero_shot_is_well_above_chance(name):
    data = tasks.load(name)
    stem, encoder = architecture.load("image_text")
    prompts = [t.format(c) for c in data.classes for t in data.templates]
    rows = embed_prompts("image_text", prompts)
    text = normalize(rows.view(len(data.classes), len(data.templates), -1).mean(1), dim=-1)
    images = torch.from_numpy(data.validation.images[:200]).permute(0, 3, 1, 2)
    with torch.no_grad():
        features = normalize(encoder(stem(images)), dim=-1)
    logits = math.exp(logit_scale("image_text")) * features @ text.T
    accuracy = (logits.argmax(1).numpy() == data.validation.labels[:200]).mean()
    assert accuracy > 2 / len(data.classes)
