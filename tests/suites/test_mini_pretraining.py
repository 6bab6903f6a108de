"""Pre-training: repeatable data that no task shares, and runs that resume bit for bit."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from taskmark.suites.mini import tasks, text_tower
from taskmark.suites.mini.drawing import glyph, mask, stream
from taskmark.suites.mini.pretraining import images, patterns, pretraining_outlines, training
from taskmark.suites.mini.pretraining.augmentation import augment
from taskmark.suites.mini.pretraining.captions import captions
from taskmark.suites.mini.pretraining.schemes import SCHEMES
from taskmark.suites.mini.tasks import street, task_outlines, textures


@pytest.fixture(scope="module")
def drawn():
    return images.block(0, n_images=512, digits=True)


def test_a_block_is_fixed_by_its_number(drawn):
    again = images.block(0, n_images=512, digits=True)
    other = images.block(1, n_images=512, digits=True)
    assert np.array_equal(drawn.images, again.images)
    assert not np.array_equal(drawn.images, other.images)


def test_factors_are_in_range_and_every_family_occurs(drawn):
    for name, n_values in images.FACTORS.items():
        assert drawn.factors[name].min() >= images.ABSENT
        assert drawn.factors[name].max() < n_values
    assert set(drawn.factors["family"].tolist()) == set(range(images.FACTORS["family"]))


def test_views_show_the_same_things_seen_anew():
    first, second, again = (images.block(2, n_images=256, view=view) for view in (0, 1, 1))
    for name, values in first.factors.items():
        assert np.array_equal(values, second.factors[name]), name
    assert not (first.images == second.images).all((1, 2, 3)).any()
    assert np.array_equal(second.images, again.images)


def test_digits_stand_among_the_glyphs_only_where_asked():
    plain = images.block(0, n_images=2048).factors["sign"]
    assert plain.max() < len(pretraining_outlines.LETTERS)


def test_captions_use_only_words_of_the_vocabulary(drawn):
    rows = text_tower.tokenize(captions(drawn, stream(9)))
    assert not (rows == text_tower.VOCABULARY.index(text_tower.UNKNOWN)).any()
    assert (rows > 0).any(1).all()


def test_fonts_are_disjoint_from_those_of_the_tasks():
    assert not set(pretraining_outlines.FONTS) & set(street.FONTS)
    theirs = {mask(glyph(f, d)).tobytes() for f in street.FONTS for d in "0123456789"}
    ours = {mask(glyph(f, d)).tobytes() for f in pretraining_outlines.FONTS for d in images.SIGNS}
    assert not theirs & ours


def test_outlines_are_disjoint_from_those_of_the_tasks():
    theirs = {
        mask(value).tobytes()
        for name, value in vars(task_outlines).items()
        if name.isupper() and not name.startswith("_")
    }
    ours = {mask(outline).tobytes() for outline in pretraining_outlines.SHAPES.values()}
    assert len(theirs) > 20
    assert not theirs & ours


def test_patterns_and_textures_are_drawn_by_different_code():
    def code(functions):
        return {f.__code__.co_code + repr(f.__code__.co_consts).encode() for f in functions}

    assert not code(patterns.PATTERNS.values()) & code(textures.TEXTURES.values())


@pytest.mark.complete
def test_no_pretraining_image_is_a_task_image(drawn):
    def hashes(pixels):
        return {hashlib.sha256(image.tobytes()).digest() for image in pixels}

    ours = hashes(drawn.images)
    for name in tasks.TASKS:
        data = tasks.load(name)
        for split in tasks.SPLITS:
            assert not ours & hashes(getattr(data, split).images)


def test_augmentation_depends_on_its_generator_alone(drawn):
    pixels = torch.from_numpy(drawn.images[:4]).permute(0, 3, 1, 2)
    first, again, other = (augment(pixels, torch.Generator().manual_seed(k)) for k in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 255


def test_the_masked_scheme_leaves_its_teacher_as_it_is_and_ships_nothing_of_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "BLOCK", 32)
    scheme, teacher = SCHEMES["masked"](), SCHEMES["contrastive"]()
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.01)
    scheme.start_from(teacher.shipped_tensors())
    scheme.n_steps, scheme.batch_size = 2, 16
    training.train(scheme, tmp_path / "x.safetensors")
    for name, tensor in teacher.stem.state_dict().items():
        assert torch.equal(tensor, scheme.teacher_stem.state_dict()[name]), name
    for name, tensor in teacher.encoder.state_dict().items():
        assert torch.equal(tensor, scheme.teacher_encoder.state_dict()[name]), name
    assert set(scheme.shipped_tensors()) == set(teacher.shipped_tensors())


def test_the_schedule_warms_up_and_ends_near_nothing():
    rates = [training.schedule(step, 1000, decay_from=0.5) for step in range(1000)]
    assert rates[0] < rates[100] < rates[training.WARM_UP] == rates[499] == 1.0
    assert rates[499] > rates[700] > rates[900]
    assert rates[-1] < 0.01
    assert all(0 < rate <= 1 for rate in rates)


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "random"])
def test_a_resumed_run_ends_in_the_same_bits(name, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "BLOCK", 32)

    def small():
        scheme = SCHEMES[name]()
        scheme.n_steps, scheme.batch_size = 5, 16
        return scheme

    whole, first, second = small(), small(), small()
    training.train(whole, tmp_path / "whole.safetensors")
    training.train(first, tmp_path / "parts.safetensors", stop_after=3)
    training.train(second, tmp_path / "parts.safetensors")
    for key, tensor in whole.shipped_tensors().items():
        assert torch.equal(tensor, second.shipped_tensors()[key]), key
    partial = first.shipped_tensors()
    assert not all(torch.equal(t, partial[k]) for k, t in whole.shipped_tensors().items())


def test_a_checkpoint_of_another_scheme_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "BLOCK", 16)
    scheme = SCHEMES["supervised"]()
    scheme.n_steps, scheme.batch_size = 1, 16
    training.train(scheme, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="checkpoint of 'supervised', not of 'masked'"):
        training.train(SCHEMES["masked"](), tmp_path / "x.safetensors")


def test_losses_fall_under_training(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "BLOCK", 64)
    scheme = SCHEMES["supervised"]()
    scheme.n_steps, scheme.batch_size = 12, 64
    losses = []
    training.train(scheme, tmp_path / "x.safetensors", progress=lambda _, loss: losses.append(loss))
    assert losses[-1] < losses[0]
