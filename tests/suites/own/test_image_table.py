"""Images of one's own: read from folders and tables, split once, and each fault a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from taskmark.errors import TaskmarkError
from taskmark.suites.own.image_table import (
    assign_splits,
    drop_repeated,
    read_source,
    read_table,
    table_bytes,
)


@pytest.fixture
def paint(tmp_path):
    """Write an image that depends on its number."""

    def call(path, number, folder=tmp_path):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (6, 8, 3)).astype("u1")
        Image.fromarray(pixels).save(file)
        return file

    return call


@pytest.fixture
def pets(paint, tmp_path):
    for number in range(40):
        paint(f"pets/{('cat', 'dog')[number % 2]}/deep/{number}.png", number)
    return tmp_path / "pets"


def split(source):
    return assign_splits("pets", drop_repeated("pets", read_source("pets", source))[0])


def test_a_folder_per_class_is_split_by_class_and_the_table_holds_it(pets, tmp_path):
    items = split(pets)
    for label in ("cat", "dog"):
        of_class = [item.split for item in items if item.label == label]
        assert [of_class.count(s) for s in ("train", "validation", "test")] == [14, 2, 4]
    (tmp_path / "suite").mkdir()
    table = tmp_path / "suite" / "pets.csv"
    table.write_bytes(table_bytes(items, table.parent))
    assert table.read_text().splitlines()[1].startswith("../pets/cat/deep/")
    assert read_table(table) == items
    assert split(pets) == items


def test_splits_stay_where_they_are_when_images_are_added(pets, paint):
    before = {item.path: item.split for item in split(pets)}
    for number in range(100, 104):
        paint(f"pets/cat/{number}.png", number)
    after = {item.path: item.split for item in split(pets)}
    moved = [path for path in before if before[path] != after[path]]
    assert len(moved) <= 4


def test_folders_of_splits_are_taken_as_they_are(paint, tmp_path):
    for number in range(30):
        place = "test" if number < 6 else "train"
        paint(f"pets/{place}/{('cat', 'dog')[number % 2]}/{number}.png", number)
    items = split(tmp_path / "pets")
    assert {i.path.name for i in items if i.split == "test"} == {f"{n}.png" for n in range(6)}
    assert sum(item.split == "validation" for item in items) == 2


def test_a_table_is_as_good_as_folders(paint, tmp_path):
    rows = ["image,class,split"]
    for number in range(12):
        file = paint(f"all/{number}.png", number)
        place = ("train", "val", "test")[number % 3]
        rows.append(f"all/{file.name},{('cat', 'dog')[number // 6]},{place}")
    (tmp_path / "pets.csv").write_text("\n".join(rows))
    items = split(tmp_path / "pets.csv")
    assert [item.split for item in items[:3]] == ["train", "validation", "test"]
    assert items[0].path == tmp_path / "all" / "0.png"


def test_one_image_twice_is_kept_once_and_told(pets, paint, tmp_path):
    paint("pets/cat/again.png", 0)
    items, told = drop_repeated("pets", read_source("pets", pets))
    assert len(items) == 40
    (sentence,) = told
    assert sentence.startswith("1 image stands twice, such as ")
    assert "again.png" in sentence
    paint("pets/dog/again.png", 0)
    (pets / "cat" / "again.png").unlink()
    with pytest.raises(TaskmarkError, match=r"One image of 'pets' has two labels: .*'cat'.*'dog'"):
        drop_repeated("pets", read_source("pets", pets))
    for place in ("train", "test"):
        paint(f"given/{place}/cat/0.png", 0)
    items, told = drop_repeated("given", read_source("given", tmp_path / "given"))
    assert [item.split for item in items] == ["test"]
    assert "in train and test" in told[0]


def empty_class(folder, _):
    (folder / "pets" / "bird").mkdir()
    (folder / "pets" / "bird" / "notes.txt").write_text("none yet")


def text_files(folder, _):
    for path in (folder / "pets").rglob("*.png"):
        path.rename(path.with_suffix(".txt"))


def no_classes(folder, _):
    for path in [*(folder / "pets").rglob("*.png")]:
        path.rename(folder / "pets" / path.name)


def small_class(_, paint):
    paint("pets/bird/1.png", 1001)
    paint("pets/bird/2.png", 1002)


def only_test(folder, paint):
    (folder / "pets").rename(folder / "images")
    (folder / "pets").mkdir()
    (folder / "images").rename(folder / "pets" / "train")
    paint("pets/test/bird/1.png", 1001)


def no_test(folder, _):
    (folder / "pets").rename(folder / "images")
    (folder / "pets").mkdir()
    (folder / "images").rename(folder / "pets" / "train")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (empty_class, "The class 'bird' of 'pets' is empty"),
        (text_files, "holds no image, but 40 other files such as .*txt"),
        (no_classes, "holds 40 images and no folder per class"),
        (
            small_class,
            "'bird' of 'pets' has 2 images to take its splits from, and needs 3",
        ),
        (only_test, "Only test of 'pets' has the class 'bird'"),
        (no_test, "have the splits train and no test"),
    ],
)
def test_what_cannot_be_split_is_a_sentence(pets, paint, tmp_path, spoil, words):
    spoil(tmp_path, paint)
    with pytest.raises(TaskmarkError, match=words):
        split(pets)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file_name,label\na.png,cat\n", "has the columns file_name, label"),
        ("", "has the columns none"),
        ("path,label,split\na.png,cat,exam\n", "Line 2 .* the split 'exam'"),
        ("path,label\na.png,\n", "Line 2 .* the label ''"),
        (
            "path,label\nnowhere.png,cat\n",
            "1 images of the table .* are not there such .*nowhere",
        ),
    ],
)
def test_a_faulty_table_is_a_sentence(tmp_path, text, words):
    (tmp_path / "pets.csv").write_text(text)
    with pytest.raises(TaskmarkError, match=words):
        split(tmp_path / "pets.csv")


def test_splits_are_said_of_all_images_or_of_none(paint, tmp_path):
    for number in range(2):
        paint(f"{number}.png", number)
    (tmp_path / "pets.csv").write_text("path,label,split\n0.png,cat,train\n1.png,cat,\n")
    with pytest.raises(TaskmarkError, match="1 images of 'pets' have no split and others do"):
        split(tmp_path / "pets.csv")
    with pytest.raises(TaskmarkError, match="cannot be read from"):
        read_source("pets", tmp_path / "0.png")
