"""What of the real suites is here: all that is missing in one sentence, and sizes in advance."""

from __future__ import annotations

import pytest
import torch
from dataset_fixtures import N_ROWS, REVISION, fill, make, place_of

from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.errors import TaskmarkError
from taskmark.suites.real import provider
from taskmark.suites.real.backbones.backbone_lock import read_lock as read_backbones
from taskmark.suites.real.backbones.backbone_lock import write_lock as write_backbones
from taskmark.suites.real.data import arrays, tasks
from taskmark.suites.real.data.data_lock import read_lock
from taskmark.suites.real.data.public_data_sets import definition


@pytest.fixture
def place(small, monkeypatch, tmp_path):  # noqa: ARG001 - small backbones must be in place
    """A lock of three data sets, of which one is decoded."""
    found = place_of(tmp_path, ["mnist", "svhn", "dtd"])
    made = make(definition("mnist"))
    fill(found.cache, definition("mnist").repository, made.files)
    tasks.obtain("mnist", read_lock(found.lock)["mnist"], found)
    monkeypatch.setenv("TASKMARK_DATA_LOCK", str(found.lock))
    monkeypatch.setenv("TASKMARK_DATA", str(found.arrays))
    return found


@pytest.mark.usefixtures("place")
def test_nothing_is_missing_where_all_of_it_is_here():
    assert provider.missing(["mnist"], ["clip-b-32-openai", "vit-b-16-random"]) == ""
    assert provider.missing([], []) == ""


def test_everything_that_is_missing_stands_in_one_sentence(place, small, monkeypatch, tmp_path):
    draft = place.arrays / f".svhn-{REVISION[:12]}-32.draft"  # half of it was decoded
    draft.mkdir(parents=True)
    locks = read_backbones()
    del locks["dino-b-16"]
    write_backbones(locks, tmp_path / "backbones.lock.toml")
    monkeypatch.setenv("TASKMARK_BACKBONES_LOCK", str(tmp_path / "backbones.lock.toml"))
    gone = small.file("clip-b-16-laion2b").resolve()
    content = gone.read_bytes()
    gone.unlink()
    try:
        told = provider.missing(
            ["cars", "mnist", "svhn", "gtsrb", "dtd"],
            ["dino-b-16", "clip-b-16-laion2b", "clip-b-32-openai"],
        )
    finally:
        gone.write_bytes(content)
    assert "`taskmark data lock cars gtsrb`" in told
    assert "`taskmark data fetch svhn dtd`" in told
    assert "`taskmark backbones lock dino-b-16`" in told
    assert "`taskmark backbones fetch clip-b-16-laion2b`" in told
    assert "mnist" not in told
    assert "clip-b-32-openai" not in told
    assert "\n" not in told
    assert not told.endswith(".")


def test_what_is_damaged_is_told_with_its_own_cure(place):
    folder = place.of("mnist", REVISION)
    (folder / "test.npy").unlink()
    told = provider.missing(["mnist"], [])
    assert told.startswith("the decoded images in ")
    assert "decode them again with `taskmark data fetch`" in told


@pytest.mark.usefixtures("place")
def test_a_run_without_its_data_ends_before_anything_is_made(tmp_path):
    config = RunConfig(suite="clip-8", out=tmp_path / "out", store=tmp_path / "store", workers=0)
    with pytest.raises(TaskmarkError) as caught:
        run(config)
    told = str(caught.value)
    assert told.startswith("The suite clip-8@1.0 cannot run here yet: ")
    assert "`taskmark data lock cars eurosat gtsrb resisc45 sun397`" in told
    assert "`taskmark data fetch dtd svhn`" in told
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "store").exists()


def test_sizes_are_those_decoded_or_locked_or_official(place):
    n_rows = N_ROWS["train"]
    here = provider.sizes("mnist")
    assert (here.train, here.validation, here.test) == (n_rows - 3, 3, N_ROWS["test"])
    assert here.is_here
    assert here.n_bytes == arrays.n_bytes(n_rows + N_ROWS["test"], 28)
    official = provider.sizes("svhn")
    assert (official.train, official.validation, official.test) == (73257 - 5000, 5000, 26032)
    assert official.n_bytes == (73257 + 26032) * (3 * 32 * 32 + 8)
    assert not official.is_here
    unresolved = provider.sizes("cars")
    assert (unresolved.train, unresolved.validation) == (8144 - 814, 814)
    assert unresolved.n_bytes == (8144 + 8041) * (3 * 224 * 224 + 8)
    locked = place_of(place.lock.parent, ["eurosat"], rows={"train": 100, "test": 7})
    assert provider.sizes("eurosat", locked).validation == 10
    assert provider.sizes("emnist-digits", locked) is None


@pytest.mark.usefixtures("place")
def test_an_encoder_without_its_weights_is_that_of_the_backbone():
    drawn = provider.untrained("clip-b-32-openai")
    stem, encoder = provider.backbone("clip-b-32-openai")
    assert stem is None
    shapes = [
        [(name, parameter.shape) for name, parameter in each.named_parameters()]
        for each in (drawn, encoder)
    ]
    assert shapes[0] == shapes[1]
    images = torch.zeros(2, 3, 40, 40, dtype=torch.uint8)
    assert drawn(images).shape == encoder(images).shape
    assert not drawn.training
