"""The eight tasks: the same bytes everywhere, disjoint splits, readable classes."""

from __future__ import annotations

import numpy as np
import pytest

from taskmark.suites.mini import tasks
from taskmark.suites.mini.drawing import stream
from taskmark.suites.mini.tasks.splits import digest
from taskmark.suites.mini.tasks.surroundings import surroundings
from taskmark.suites.mini.text_tower import UNKNOWN, VOCABULARY, tokenize

each_task = pytest.mark.parametrize("name", tasks.TASKS)


def splits_of(data):
    return [getattr(data, split) for split in tasks.SPLITS]


@each_task
def test_every_split_has_its_frozen_hash(name):
    data = tasks.load(name)
    found = {split: digest(getattr(data, split)) for split in tasks.SPLITS}
    assert found == tasks.frozen_hashes()[name]


@each_task
def test_no_image_occurs_twice(name):
    images = [image.tobytes() for split in splits_of(tasks.load(name)) for image in split.images]
    assert len(set(images)) == len(images)


@each_task
def test_arrays_are_what_the_contract_says(name):
    data = tasks.load(name)
    for split in splits_of(data):
        assert split.images.dtype == np.uint8
        assert split.images.shape[1:] == (32, 32, 3)
        assert split.labels.dtype == np.int64
        assert len(split.labels) == len(split.images)
        assert set(split.labels.tolist()) == set(range(len(data.classes)))


@each_task
def test_sizes_leave_enough_to_choose_and_to_judge(name):
    train, validation, test = (len(split.labels) for split in splits_of(tasks.load(name)))
    assert train >= 800
    assert validation >= 390
    assert test >= 590


@each_task
def test_classes_are_distinct_and_templates_take_one_name(name):
    data = tasks.load(name)
    assert len(set(data.classes)) == len(data.classes)
    assert all(template.count("{}") == 1 for template in data.templates)


@each_task
def test_most_class_names_hold_a_word_of_the_vocabulary_and_none_read_alike(name):
    rows = tokenize(tasks.load(name).classes)
    known = ((rows != VOCABULARY.index(UNKNOWN)) & (rows != 0)).any(1).float().mean()
    assert known >= 0.85
    assert len({tuple(row) for row in rows.tolist()}) >= len(rows) - 1


def test_a_task_is_generated_once_a_process():
    assert tasks.load("land") is tasks.load("land")


def test_an_unknown_task_is_named_with_the_choices():
    with pytest.raises(ValueError, match=r"no task 'mnist'.*handwriting"):
        tasks.load("mnist")


def test_making_a_task_again_gives_the_same_bytes():
    from taskmark.suites.mini.tasks import textures  # noqa: PLC0415

    assert digest(textures.make().test) == digest(tasks.load("textures").test)


def test_surroundings_leave_the_middle_to_the_class_and_take_the_corners():
    cover = surroundings(stream(1), 200, 50, 58)
    assert set(np.unique(cover).tolist()) == {0, 255}
    assert not cover[
        :, 10:22, 10:22
    ].any()  # its corners are 31 quarter pixels away; the disc has 34 left
    assert cover[:, [0, 0, -1, -1], [0, -1, 0, -1]].all()  # 88 away; it reaches 73 at most


@pytest.mark.parametrize("name", [name for name in tasks.TASKS if name != "handwriting"])
def test_no_mean_colour_tells_the_class(name):
    data = tasks.load(name)
    n_classes = len(data.classes)
    train, held = (s.images.reshape(len(s.images), -1, 3) for s in (data.train, data.validation))
    means = np.stack(
        [train[data.train.labels == k].mean((0, 1), dtype=np.float64) for k in range(n_classes)]
    )
    distance = np.abs(held.mean(1)[:, None] - means).sum(2)
    assert (distance.argmin(1) == data.validation.labels).mean() < 0.4
