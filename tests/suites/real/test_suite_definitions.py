"""The definitions of the real suites agree with what defines their data and their backbones."""

from __future__ import annotations

import importlib.resources
import math

import pytest

from taskmark.methods.atlas import Atlas
from taskmark.records.write_catalogue import said_of
from taskmark.suite.provider import fetched
from taskmark.suite.provider import provider as provider_of
from taskmark.suite.suite_file import load
from taskmark.suites.real.backbones.public_backbones import definitions as backbones
from taskmark.suites.real.data.public_data_sets import definitions as data_sets
from taskmark.suites.real.data.validation_split import manifest

SUITES = ("clip-8", "clip-14", "clip-20", "closed-vocabulary", "clip-8-imagenet-control")
CARD = (importlib.resources.files("taskmark.suites.real") / "CARD.md").read_text("utf-8")
# Ortiz-Jimenez et al. 2023, and Wang et al. 2024 for the later twelve.
EPOCHS = {
    "clip-8": (35, 76, 12, 11, 5, 15, 14, 4),
    "clip-14": (35, 76, 12, 11, 5, 15, 14, 4, 6, 60, 147, 82, 1, 10),
    "clip-20": (35, 76, 12, 11, 5, 15, 14, 4, 6, 60, 147, 82, 1, 10, 2, 6, 4, 5, 39, 5),
    "closed-vocabulary": (35, 76, 12, 11, 5, 15, 14, 4),
}


@pytest.mark.parametrize("name", EPOCHS)
def test_experts_are_tuned_for_as_long_as_in_the_field(name):
    suite = load(name)
    for mode in ("standard", "tangent"):
        assert tuple(suite.tuning(task, mode).epochs for task in suite.tasks) == EPOCHS[name]
    for task in suite.tasks:
        assert suite.tuning(task, "standard").epochs == data_sets()[task].epochs


def test_the_larger_suites_go_on_where_the_smaller_end():
    tasks = {name: list(load(name).tasks) for name in SUITES}
    assert tasks["clip-20"][:14] == tasks["clip-14"]
    assert tasks["clip-14"][:8] == tasks["clip-8"] == tasks["closed-vocabulary"]
    assert [len(tasks[name]) for name in SUITES] == [8, 14, 20, 8, 8]


@pytest.mark.parametrize("name", SUITES)
def test_every_task_and_backbone_is_one_that_can_be_had(name):
    suite = load(name)
    assert {*suite.tasks, *suite.controls} <= set(data_sets())
    assert fetched(provider_of(suite.provider)) is not None
    for backbone in suite.backbones.values():
        described = backbones()[backbone.weights]
        if backbone.heads == "zero-shot":
            assert described.has_text
    assert {backbone.heads for backbone in suite.backbones.values()} == {
        "probed" if name == "closed-vocabulary" else "zero-shot"
    }


@pytest.mark.parametrize("name", SUITES)
def test_a_method_that_learns_may_take_as_many_images_as_atlas_was_published_with(name):
    n_tasks, atlas = len(load(name).tasks), Atlas()
    n_fit = 4000  # 5,000 of validation, a fifth of them held out
    assert min(5000, manifest(data_sets()["svhn"].official_rows["train"]).validation.size) == 5000
    per_task = atlas.batch_size // n_tasks
    needed = 20 * math.ceil(n_fit / per_task) * per_task * n_tasks
    assert atlas.epochs == 20
    assert load(name).protocol.gradient_images == needed
    assert f"{needed:,}" in CARD


def test_every_backbone_is_in_a_suite():
    used = {b.weights for name in SUITES for b in load(name).backbones.values()}
    assert used == set(backbones())


def test_the_card_says_of_every_task_what_its_definition_says():
    for name in (*load("clip-20").tasks, "imagenet"):
        data, said = data_sets()[name], dict(said_of(CARD, name))
        rows = data.official_rows
        official = f"{rows['train']:,} / {rows['test']:,}" if rows else "as fetched"
        assert said["data set"] == f"{data.title} (`{data.repository}`)"
        assert said["classes"] == f"{data.n_classes:,}"
        assert said["official train / test"] == official
        assert said["licence"] == data.licence
        epochs = str(data.epochs) if name in load("clip-20").tasks else "none, a control"
        assert said["epochs"] == epochs


def test_the_card_says_of_every_backbone_what_its_definition_says():
    for name, described in backbones().items():
        said = dict(said_of(CARD, name))
        assert said["network"] == described.title
        assert said["pre-training"] == described.family
        assert said["features"] == f"{described.features:,}"
        assert said["licence"] == described.licence
        assert described.model in said["file"]
        assert (described.repository or f"seed {described.seed}") in said["file"]


def test_the_protocol_is_that_of_the_field():
    for name in SUITES:
        for tuning in (load(name).protocol.standard, load(name).protocol.tangent):
            assert (tuning.learning_rate, tuning.weight_decay, tuning.clip_norm) == (1e-5, 0.1, 1.0)
            assert (tuning.warmup, tuning.batch_size, tuning.label_smoothing) == (500, 128, 0.0)
        assert load(name).protocol.trials == 21
