"""Every task of the real suites goes through its loader, on files of its own format."""

from __future__ import annotations

import errno
import io
import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from dataset_fixtures import N_ROWS, REVISION, fill, make, picture, place_of
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from taskmark.errors import TaskmarkError
from taskmark.stages.task_inputs import fingerprint
from taskmark.suites.real.data import tasks
from taskmark.suites.real.data.arrays import digest, split_arrays
from taskmark.suites.real.data.data_lock import LockedDataSet, read_lock
from taskmark.suites.real.data.public_data_sets import definition, definitions
from taskmark.suites.real.data.validation_split import manifest

SIZE = 24


@pytest.fixture(autouse=True)
def shut_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def here(tmp_path, task, **how):
    """A data set in the cache, and the place that knows of it."""
    made = make(definition(task), **how)
    fill(tmp_path / "hub", definition(task).repository, made.files)
    return made, place_of(tmp_path, [task])


def obtain(task, place, **how):
    return tasks.obtain(task, read_lock(place.lock)[task], place, size=SIZE, **how)


def plainly(encoded, data):
    """What torchvision's transforms make of an image, [H, W, 3]."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    if not data.native_size:
        image = CenterCrop(SIZE)(Resize(SIZE, InterpolationMode.BICUBIC)(image))
    return np.asarray(image)


@pytest.mark.parametrize("task", definitions())
def test_each_task_comes_out_as_its_files_have_it(tmp_path, task):
    made, place = here(tmp_path, task)
    data = definition(task)
    facts = obtain(task, place)
    loaded = tasks.load(task, place, size=SIZE)

    rows = manifest(N_ROWS["train"])
    for split, source, wanted in (
        (loaded.train, "train", rows.train),
        (loaded.validation, "train", rows.validation),
        (loaded.test, "test", range(N_ROWS["test"])),
    ):
        expected = [plainly(made.images[source][row], data) for row in wanted]
        np.testing.assert_array_equal(split.images, expected)
        np.testing.assert_array_equal(split.labels, [made.labels[source][row] for row in wanted])
        assert isinstance(split.images, np.memmap)
    assert len(loaded.classes) == data.n_classes
    assert facts.rows == {"train": 27, "validation": 3, "test": 8}
    assert len(fingerprint(loaded)) == 64


def test_what_is_decoded_needs_neither_the_files_nor_the_network(tmp_path):
    _, place = here(tmp_path, "dtd")
    first = obtain("dtd", place)
    (tmp_path / "hub").rename(tmp_path / "gone")
    assert obtain("dtd", place) == first
    assert len(tasks.load("dtd", place, size=SIZE).test.labels) == N_ROWS["test"]


def test_processes_decode_what_one_process_decodes(tmp_path):
    _, place = here(tmp_path, "eurosat")
    lock = read_lock(place.lock)["eurosat"]
    seen = []
    alone = tasks.obtain("eurosat", lock, place, progress=lambda *told: seen.append(told))
    (place.arrays / f"eurosat-{REVISION[:12]}-64").rename(tmp_path / "alone")
    assert tasks.obtain("eurosat", lock, place, workers=2).pixels == alone.pixels
    assert seen[0] == (0, 38)
    assert seen[-1] == (38, 38)
    assert seen == sorted(seen)


def test_a_process_that_dies_is_told_and_nothing_is_lost(tmp_path, monkeypatch):
    _, place = here(tmp_path, "dtd")

    def dies(*_):
        raise BrokenProcessPool

    with monkeypatch.context() as broken:
        broken.setattr("taskmark.suites.real.data.preparing.as_completed", dies)
        with pytest.raises(TaskmarkError, match="fewer --workers"):
            obtain("dtd", place, workers=1)
    assert obtain("dtd", place).rows["test"] == N_ROWS["test"]


def test_an_interrupted_run_goes_on(tmp_path):
    _, place = here(tmp_path, "dtd")

    def stop(done, _total):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain("dtd", place, progress=stop)
    seen = []
    facts = obtain("dtd", place, progress=lambda done, _total: seen.append(done))
    assert seen[0] == 20
    folder = place.of("dtd", REVISION, size=SIZE)
    assert {s: digest(split_arrays(folder, s)) for s in facts.pixels} == facts.pixels
    assert not list(place.arrays.glob(".*draft"))


def test_corrupt_images_are_named_and_counted_and_nothing_is_left_to_use(tmp_path):
    def corrupt(split, row, encoded, label):
        cut = (
            encoded[: len(encoded) // 2]
            if (split, row) in {("train", 16), ("test", 2)}
            else encoded
        )
        return cut, label

    _, place = here(tmp_path, "dtd", corrupt=corrupt)
    with pytest.raises(
        TaskmarkError, match=r"2 of the images of 'dtd'.*row 16 of train in train-00001-"
    ):
        obtain("dtd", place)
    with pytest.raises(TaskmarkError, match="taskmark data fetch dtd"):
        tasks.load("dtd", place, size=SIZE)


@pytest.mark.parametrize("bad", [-1, 47, None])
def test_a_label_outside_the_range_is_named(tmp_path, bad):
    def corrupt(split, row, encoded, label):
        return encoded, bad if (split, row) == ("test", 3) else label

    _, place = here(tmp_path, "dtd", corrupt=corrupt)
    with pytest.raises(
        TaskmarkError, match=rf"row 3 of test .* label is {bad}, not one of 0 to 46"
    ):
        obtain("dtd", place)


def test_a_native_image_of_another_size_is_named(tmp_path):
    odd = picture(np.random.default_rng(0), 20)

    def corrupt(split, row, encoded, label):
        return (odd if (split, row) == ("train", 0) else encoded), label

    _, place = here(tmp_path, "mnist", corrupt=corrupt)
    with pytest.raises(TaskmarkError, match="20 x 20 pixels, not 28 x 28"):
        obtain("mnist", place)


def test_a_grey_image_is_stored_with_three_channels(tmp_path):
    def grey(split, _row, _encoded, label):
        with io.BytesIO() as stream:
            Image.new("L", (28, 28), {"train": 5, "test": 7}[split]).save(stream, "png")
            return stream.getvalue(), label

    _, place = here(tmp_path, "mnist", corrupt=grey)
    obtain("mnist", place)
    images = tasks.load("mnist", place).test.images
    assert images.shape == (8, 28, 28, 3)
    assert (images == 7).all()


def test_another_order_of_classes_is_refused(tmp_path):
    names = [w.replace(" ", "_") for w in definition("cifar10").words]
    _, place = here(tmp_path, "cifar10", names=[*names[1:], names[0]])
    with pytest.raises(TaskmarkError, match="another order"):
        obtain("cifar10", place)


def test_another_number_of_classes_is_refused(tmp_path):
    _, place = here(tmp_path, "dtd", names=["banded", "dotted"])
    with pytest.raises(TaskmarkError, match="names 2 classes, not 47"):
        obtain("dtd", place)


def test_classes_without_names_are_refused():
    with pytest.raises(TaskmarkError, match="do not name its classes"):
        tasks.words("dtd", definition("dtd"), ())


def test_names_become_words():
    data = definition("sun397").model_copy(update={"n_classes": 2})
    names = ("/a/airport_terminal", "/b/bakery/shop")
    assert tasks.words("sun397", data, names) == ("airport terminal", "bakery shop")


def test_names_that_repeat_get_their_label(tmp_path):
    names = [f"kind_{k}" for k in range(1000)]
    names[134] = names[517] = "crane"
    names[638], names[639] = "maillot", "maillot, tank suit"
    _, place = here(tmp_path, "imagenet", names=names)
    facts = obtain("imagenet", place)
    classes = tasks.load("imagenet", place, size=SIZE).classes
    assert facts.classes == tuple(names)
    assert classes[133:136] == ("kind 133", "crane (134)", "kind 135")
    assert (classes[517], *classes[638:640]) == ("crane (517)", "maillot", "maillot, tank suit")
    assert len(set(classes)) == 1000


def test_a_missing_part_of_a_split_that_must_be_whole_is_told(tmp_path):
    data = definition("imagenet")
    files = make(data).files
    few = {p: c for p, c in files.items() if "00001-of" not in p or "train" not in p}
    fill(tmp_path / "hub", data.repository, few)
    place = place_of(tmp_path, ["imagenet"])
    _, found = tasks.fetched("imagenet", LockedDataSet(revision=REVISION), place)
    assert set(found) == set(few)  # some of train's parts are meant
    less = {p: c for p, c in files.items() if "00001-of" not in p}
    fill(tmp_path / "hub", data.repository, less, revision="f" * 40)
    with pytest.raises(TaskmarkError, match=r"Only 1 of 2 parts of validation\.parquet"):
        tasks.fetched("imagenet", LockedDataSet(revision="f" * 40), place)


def test_a_chunk_counts_as_done_when_its_images_are_on_the_disk(tmp_path, monkeypatch):
    _, place = here(tmp_path, "dtd")
    flush, fsync, events = np.memmap.flush, os.fsync, []

    def flushed(array):
        events.append(Path(array.filename).stem)
        flush(array)

    def synced(descriptor):
        events.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    def done(n_images, _total):
        events.append("progress" if n_images else "start")

    monkeypatch.setattr(np.memmap, "flush", flushed)
    monkeypatch.setattr(os, "fsync", synced)
    obtain("dtd", place, progress=done)
    events = events[events.index("start") + 1 :]
    of_train = ["train", "train_labels", "validation", "validation_labels"]
    names = ["train-0", "train-1"]
    ends = np.cumsum([len(f"{name}\n") for name in names]).tolist()
    assert events[:12] == [*of_train, ends[0], "progress", *of_train, ends[1], "progress"]
    assert events[-4:] == ["test", "test_labels", events[-2], "progress"]


def test_missing_columns_are_named(tmp_path):
    data = definition("dtd").model_copy(update={"label_columns": ("klasse",)})
    fill(tmp_path / "hub", data.repository, make(data).files)
    with pytest.raises(TaskmarkError, match="has the columns image, klasse, but not label"):
        obtain("dtd", place_of(tmp_path, ["dtd"]))


def test_decoded_data_that_is_not_the_locked_is_refused(tmp_path):
    _, place = here(tmp_path, "dtd")
    facts = obtain("dtd", place)
    good = {f"test@{SIZE}": facts.pixels["test"]}
    lock = LockedDataSet(revision=REVISION, pixels=good)
    tasks.require_locked("dtd", facts, lock)
    lock = LockedDataSet(revision=REVISION, pixels={f"test@{SIZE}": "0" * 64})
    with pytest.raises(TaskmarkError, match=r"decoded split test of 'dtd'.*000000000000 is locked"):
        tasks.require_locked("dtd", facts, lock)


def test_no_space_is_said_before_anything_is_decoded(tmp_path, monkeypatch):
    _, place = here(tmp_path, "dtd")
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(TaskmarkError, match=r"need .* GB in .*, but the disk has 0.0 GB left"):
        obtain("dtd", place)


def test_space_is_taken_before_anything_is_decoded(tmp_path, monkeypatch):
    _, place = here(tmp_path, "dtd")
    reserve, taken = os.posix_fallocate, []

    def full(descriptor, offset, length):
        if len(taken) == 4:  # the images of test
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reserve(descriptor, offset, length)
        taken.append(length)
        assert os.fstat(descriptor).st_blocks * 512 >= length

    with monkeypatch.context() as on_a_full_disk:
        on_a_full_disk.setattr(os, "posix_fallocate", full)
        with pytest.raises(TaskmarkError, match=r"No space left on device\); make room there"):
            obtain("dtd", place)
    assert sum(taken) > 30 * (3 * SIZE * SIZE + 8)
    assert obtain("dtd", place).rows["test"] == N_ROWS["test"]


def test_a_file_system_that_cannot_reserve_space_is_written_to_all_the_same(tmp_path, monkeypatch):
    _, place = here(tmp_path, "dtd")

    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", cannot)
    assert obtain("dtd", place).rows["test"] == N_ROWS["test"]


@pytest.mark.parametrize("task", ["dtd", "fer2013"])
def test_a_file_that_is_cut_off_is_told_with_what_to_remove(tmp_path, task):
    made = make(definition(task))
    path = next(path for path in made.files if "train" in path)
    made.files[path] = made.files[path][: len(made.files[path]) // 2]
    fill(tmp_path / "hub", definition(task).repository, made.files)
    place = place_of(tmp_path, [task])
    told = rf"{Path(path).name} cannot be read .*remove .*/blobs/"
    with pytest.raises(TaskmarkError, match=told):
        obtain(task, place)


def test_files_without_the_names_of_their_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("dataset_fixtures.json.dumps", lambda _: "{}")
    _, place = here(tmp_path, "dtd")
    with pytest.raises(TaskmarkError, match="do not name its classes; give them as `words`"):
        obtain("dtd", place)
