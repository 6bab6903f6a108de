"""Images in files of their own: mapped where they are, and noticed when they change."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

import taskmark.store.image_files
from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.store.artifacts import Store
from taskmark.store.image_files import ImageFile
from taskmark.store.inventory import verify_all
from taskmark.suites.real.data.arrays import Arrays, digest

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 3, 4, 4), dtype=np.uint8)
LABELS = torch.arange(300)
SHA256 = digest(Arrays(IMAGES, LABELS.numpy()))


@pytest.fixture
def file(tmp_path):
    np.save(tmp_path / "train.npy", IMAGES)
    return tmp_path / "train.npy"


@pytest.fixture
def store(tmp_path, file):
    store = Store(tmp_path / "store")
    own = ImageFile.read(file, sha256=SHA256, labels="train_labels", values=LABELS)
    store.put("data", "key", {"train_labels": LABELS}, {"n": 1}, image_files={"train": own})
    return store


@pytest.fixture
def readings(monkeypatch):
    """How often images were read whole."""
    counted = []

    def counting(arrays):
        counted.append(arrays)
        return digest(arrays)

    monkeypatch.setattr(taskmark.store.image_files, "digest", counting)
    return counted


def _flip(file):
    """Change one byte in a way that leaves no trace but the time."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def _touch(file):
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 1))


def test_images_come_back_with_what_is_stored_and_are_not_copied(store, file):
    artifact = store.get("data", "key")
    assert np.array_equal(artifact.tensors["train"].numpy(), IMAGES)
    assert torch.equal(artifact.tensors["train_labels"], LABELS)
    assert artifact.image_files["train"].path == str(file.resolve())
    assert sum(path.stat().st_size for path in store.files("data", "key")) < IMAGES.nbytes / 2


def test_writing_to_images_changes_neither_the_file_nor_other_readers(store, file):
    before = file.read_bytes()
    first, second = (store.get("data", "key").tensors["train"] for _ in range(2))
    first.zero_()
    assert np.array_equal(second.numpy(), IMAGES)
    assert file.read_bytes() == before


def test_a_file_that_nobody_touched_is_not_read_again(store, readings):
    store.get("data", "key")
    assert not readings


def test_a_file_that_was_touched_is_read_once(store, file, readings):
    _touch(file)
    for _ in range(3):
        store.get("data", "key")
    assert len(readings) == 1


@pytest.mark.parametrize("harm", ["another byte", "cut short"])
def test_a_file_that_changed_is_noticed_and_its_artifact_set_aside(store, file, harm):
    if harm == "another byte":
        _flip(file)
        _touch(file)
    else:
        file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(CorruptArtifactError, match=r"data/key\.safetensors is damaged .*set aside"):
        store.get("data", "key")
    assert not store.has("data", "key")


@pytest.mark.parametrize("look", [Store.get, Store.verify])
def test_images_that_were_moved_are_no_damage_and_are_found_where_they_are(
    store, file, tmp_path, look
):
    (tmp_path / "elsewhere").mkdir()
    moved = file.rename(tmp_path / "elsewhere" / "train.npy")
    with pytest.raises(CorruptArtifactError) as caught:
        look(store, "data", "key")
    assert "damaged" not in str(caught.value)
    assert str(caught.value).startswith(f"The images {file}, which the stored data key refers to")
    assert "`taskmark data fetch`" in str(caught.value)
    assert caught.value.artifact == "data/key"
    # Nothing stands in the way of making it again, and nothing calls itself damaged.
    assert not store.has("data", "key")
    assert not list(store.root.rglob("*.damaged"))
    own = ImageFile.read(moved, sha256=SHA256, labels="train_labels", values=LABELS)
    store.put("data", "key", {"train_labels": LABELS}, {"n": 1}, image_files={"train": own})
    assert np.array_equal(store.get("data", "key").tensors["train"].numpy(), IMAGES)


def test_verifying_reads_what_lies_outside(store, file):
    store.verify("data", "key")
    times = file.stat()
    _flip(file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    store.get("data", "key")  # nothing shows the change
    with pytest.raises(CorruptArtifactError, match="has the SHA-256"):
        store.verify("data", "key")


def test_images_of_many_artifacts_are_verified_once(store, readings):
    own = store.get("data", "key").image_files
    for key in ("one", "two"):
        store.put("inputs", key, {"train_labels": LABELS}, {}, image_files=own)
    assert verify_all(store) == (3, [])
    assert len(readings) == 1


def test_where_images_lie_is_part_of_the_hash(store):
    facts, _ = store.files("data", "key")
    facts.write_text(facts.read_text().replace('"n_bytes": ', '"n_bytes": 1'))
    with pytest.raises(CorruptArtifactError, match="its hash is"):
        store.get("data", "key")


def test_a_file_that_is_not_what_it_should_be_is_one_sentence(file, tmp_path):
    how = {"sha256": SHA256, "labels": "train_labels"}
    with pytest.raises(TaskmarkError, match=r"have the SHA-256 .* decode them again with"):
        ImageFile.read(file, **how, values=LABELS + 1)
    with pytest.raises(TaskmarkError, match=r"cannot be read .* decode them again with"):
        ImageFile.read(tmp_path / "none.npy", **how, values=LABELS)
    (tmp_path / "words.npy").write_text("words")
    with pytest.raises(TaskmarkError, match=r"cannot be read .* decode them again with"):
        ImageFile.read(tmp_path / "words.npy", **how, values=LABELS)
