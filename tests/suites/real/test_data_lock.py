"""The lock file, what it lacks, and how it is filled."""

from __future__ import annotations

import pytest
from dataset_fixtures import REVISION, fill, make, place_of

from taskmark.errors import TaskmarkError
from taskmark.suites.real.data import lock_resolution, tasks
from taskmark.suites.real.data.data_lock import (
    FILE,
    LockedDataSet,
    LockedFile,
    get_lock,
    read_lock,
    require_frozen,
    write_lock,
)
from taskmark.suites.real.data.public_data_sets import DataSet, definition, definitions
from taskmark.suites.real.data.validation_split import manifest

WHOLE = LockedDataSet(
    revision=REVISION,
    files={"data/train-0.parquet": LockedFile(size=3, sha256="a" * 64)},
    rows={"train": 30, "test": 8},
    classes=('a "quoted" name', "ein größeres"),
    validation="b" * 64,
    pixels={"test@224": "c" * 64},
)


def test_what_is_written_is_read(tmp_path):
    file = tmp_path / "lock.toml"
    write_lock({"dtd": WHOLE, "cars": LockedDataSet(revision=REVISION)}, file)
    assert read_lock(file) == {"cars": LockedDataSet(revision=REVISION), "dtd": WHOLE}
    assert [path.name for path in tmp_path.iterdir()] == ["lock.toml"]


def test_the_lock_that_is_shipped_names_known_data_sets():
    assert set(read_lock(FILE)) <= set(definitions())


def test_an_unresolved_data_set_says_how_to_resolve_it():
    with pytest.raises(TaskmarkError, match=r"'cars' is unresolved.*taskmark data lock cars"):
        get_lock("cars", {})


@pytest.mark.parametrize("part", ["files", "rows", "validation", "pixels"])
def test_what_is_not_wholly_known_may_not_be_called_frozen(part):
    assert require_frozen("dtd", {"dtd": WHOLE}) is WHOLE
    lacking = LockedDataSet(**WHOLE.model_dump(exclude={part}))
    with pytest.raises(TaskmarkError, match=f"may not be called frozen: its lock lacks {part};"):
        require_frozen("dtd", {"dtd": lacking})


@pytest.mark.parametrize("revision", ["main", "0123abc", REVISION.upper()])
def test_a_revision_that_is_no_full_commit_hash_is_refused(tmp_path, revision):
    file = tmp_path / "lock.toml"
    file.write_text(f'[dtd]\nrevision = "{revision}"\n')
    with pytest.raises(TaskmarkError, match="cannot be used"):
        read_lock(file)


def test_a_missing_lock_file_is_named(tmp_path):
    with pytest.raises(TaskmarkError, match=r"nowhere\.toml"):
        read_lock(tmp_path / "nowhere.toml")


def test_a_lock_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TaskmarkError, match=r"cannot be written .*name another with --lock"):
        write_lock({}, tmp_path / "file" / "lock.toml")


def test_locking_fills_all_that_freezing_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    made = make(definition("fer2013"))
    fill(tmp_path / "hub", definition("fer2013").repository, made.files)
    place = place_of(tmp_path, [])
    lock, surprises = lock_resolution.resolve("fer2013", place, revision=REVISION)
    write_lock({"fer2013": lock}, place.lock)
    assert require_frozen("fer2013", read_lock(place.lock)).rows == {"train": 30, "test": 8}
    assert set(lock.files) == set(made.files)
    assert lock.classes == tuple(f"kind_{k}" for k in range(7))
    assert lock.validation == manifest(30).sha256
    assert surprises[0] == "train has 30 images, the official split 28709"
    assert len(tasks.load("fer2013", place).train.labels) == 27


@pytest.mark.parametrize("revision", ["main", REVISION[:12], f"{REVISION}\n"])
def test_only_a_full_commit_hash_is_locked_and_nothing_is_fetched_before(
    tmp_path, monkeypatch, revision
):
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    with pytest.raises(TaskmarkError, match=r"is not a full commit hash \(40 hexadecimal digits"):
        lock_resolution.resolve("fer2013", place_of(tmp_path, []), revision=revision)


def test_a_changed_file_upstream_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    data = definition("fer2013")
    fill(tmp_path / "one", data.repository, make(data).files)
    fill(tmp_path / "hub", data.repository, make(data, seed=1).files)
    place = place_of(tmp_path, [])
    first = tasks.Place(lock=place.lock, arrays=place.arrays, cache=tmp_path / "one")
    _, files = tasks.fetched("fer2013", LockedDataSet(revision=REVISION), first)
    with pytest.raises(TaskmarkError, match="changed upstream"):
        tasks.fetched("fer2013", LockedDataSet(revision=REVISION, files=files), place)
    with pytest.raises(TaskmarkError, match=r"has \{.*\} images, but"):
        tasks.fetched(
            "fer2013", LockedDataSet(revision=REVISION, rows={"train": 1, "test": 1}), place
        )


def test_the_twenty_tasks_of_the_field_are_defined():
    eight = ["cars", "dtd", "eurosat", "gtsrb", "mnist", "resisc45", "sun397", "svhn"]
    six = ["cifar100", "stl10", "flowers102", "pets", "pcam", "fer2013"]
    six_more = ["emnist-letters", "cifar10", "food101", "fashion-mnist", "rendered-sst2"]
    control = "imagenet"  # never merged
    everything = {*eight, *six, *six_more, "kmnist", "emnist-digits", control}
    assert everything == set(definitions())
    epochs = [definitions()[task].epochs for task in eight]
    assert epochs == [35, 76, 12, 11, 5, 15, 14, 4]


def test_a_name_that_is_misspelt_in_the_files_is_mended():
    data = definition("cifar100")
    names = tuple("cra" if k == 26 else f"kind_{k}" for k in range(data.n_classes))
    assert tasks.words("cifar100", data, names)[25:28] == ("kind 25", "crab", "kind 27")


def test_a_definition_without_all_its_words_is_refused():
    table = definition("mnist").model_dump() | {"words": ("one", "two")}
    with pytest.raises(ValueError, match="10 different ones"):
        DataSet.model_validate(table)
    with pytest.raises(ValueError, match="train and test"):
        DataSet.model_validate(definition("mnist").model_dump() | {"files": {"train": ("a",)}})
    with pytest.raises(TaskmarkError, match="did you mean 'cifar10'"):
        definition("cifar-10")
