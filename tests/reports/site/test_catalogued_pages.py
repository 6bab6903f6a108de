"""What a run's catalogue says stands on the pages of methods, tasks and backbones, escaped."""

from __future__ import annotations

import pytest
from made_up_records import SUITE, TASKS, made_up_method, made_up_record
from site_elements import parsed, text_of

from taskmark.records.catalogue import (
    BackboneEntry,
    Catalogue,
    Example,
    HyperParameter,
    MethodEntry,
    SuiteEntry,
    TaskEntry,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def catalogue(said="plain"):
    method = MethodEntry(
        name="ties",
        source_sha256="a" * 64,
        file="methods/ties.py",
        description=f"Merge.\n\nAll about {said}\n\nAttributes:\n    density: share of {said}",
        hyperparameters=(
            HyperParameter(name="density", values=f"number > 0 {said}", default="0.2"),
            HyperParameter(name="unused", values="text", default=f'"{said}"'),
        ),
        scale_range=(0.0, 2.5),
        order_matters=said,
        n_tasks=(2, 4),
    )
    task = TaskEntry(
        summary=f"a task, {said}",
        card=(("flaws", f"many, {said}"), ("", f"an item, {said}")),
        classes=("red", "blue", said),
        n_train=1500,
        n_validation=500,
        examples=(Example(label=f"red {said}", png=f"iVBORw0={said}"),),
    )
    backbone = BackboneEntry(
        summary=f"a backbone, {said}",
        heads="zero-shot",
        weights=said,
        sha256="b" * 64,
        card=(("scheme", f"contrastive, {said}"),),
    )
    suite = SuiteEntry(
        suite=SUITE,
        summary=said,
        tasks=dict.fromkeys(TASKS, task),
        backbones={"image-text": backbone},
    )
    return Catalogue({"ties": method}, {SUITE.sha256: suite})


@pytest.fixture
def found():
    return [made_up_record(n=20, method=made_up_method("ties", hyperparameters={"density": 0.1}))]


def test_a_method_is_described_with_its_fields_and_their_defaults(site_of, found):
    text = text_of(site_of(found, catalogue=catalogue())["methods/ties.html"])
    assert "All about plain" in text
    assert "density share of plain number > 0 plain 0.2 0.1" in text
    assert 'unused text "plain"' in text
    assert "searched in 0 to 2.5" in text
    assert "Tasks 2 to 4" in text
    assert "methods/ties.py" in text


def test_a_task_shows_its_card_and_training_images(site_of, found):
    page = site_of(found, catalogue=catalogue())["mini@1.0/task-signs.html"]
    text = text_of(page)
    assert "3 classes 1,500 training and 500 validation images 20 test images" in text
    assert "a task, plain an item, plain flaws many, plain" in text
    assert "All 3 classes red; blue; plain" in text
    (image,) = [attributes for tag, attributes in parsed(page).found if tag == "img"]
    assert image["src"] == "data:image/png;base64,iVBORw0=plain"


def test_a_backbone_shows_its_card(site_of, found):
    text = text_of(site_of(found, catalogue=catalogue())["mini@1.0/backbone-image-text.html"])
    assert "a backbone, plain scheme contrastive, plain" in text
    assert f"SHA-256 {'b' * 16}" in text


def test_what_a_catalogue_says_is_escaped(site_of, found):
    plain, hostile = (site_of(found, catalogue=catalogue(said)) for said in ("plain", HOSTILE))
    for path in (
        "methods/ties.html",
        "mini@1.0/task-signs.html",
        "mini@1.0/backbone-image-text.html",
    ):
        kinds = [[tag for tag, _ in parsed(site[path]).found] for site in (plain, hostile)]
        assert kinds[0] == kinds[1], path
        assert "&lt;script&gt;" in hostile[path]


def test_without_a_catalogue_the_pages_do_without(site_of, found):
    site = site_of(found)
    assert "density 0.1" in text_of(site["methods/ties.html"])
    assert "Training images" not in site["mini@1.0/task-signs.html"]


def test_the_catalogue_of_another_suite_says_nothing_of_this_one(site_of, found):
    other = {SUITE.sha256[::-1].replace("5", "6"): catalogue().suites[SUITE.sha256]}
    site = site_of(found, catalogue=Catalogue({}, other))
    assert "a task, plain" not in site["mini@1.0/task-signs.html"]
