"""Where a store lies, and what is told to be of an earlier version."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskmark.errors import TaskmarkError
from taskmark.store.address import list_old_files, old_store_size, remove_old_files
from taskmark.store.artifacts import Store

KEY = "0123456789abcdef" * 4
OWNER = "@0123456789ab-77-1234@"


PLACE = "/some/pla ce"


@pytest.mark.parametrize(
    "address", [PLACE, Path(PLACE), "file:///some/pla%20ce", f"FILE://localhost{PLACE}"]
)
def test_a_store_has_a_path_or_a_url(address):
    assert Store.open(address).root == Path(PLACE)


def test_a_path_may_be_relative_or_begin_at_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Store.open("here").root == tmp_path / "here"
    assert Store.open("~/store").root == tmp_path / "home" / "store"


@pytest.mark.parametrize("address", ["s3://bucket/store", "file://elsewhere/store", "https://x/y"])
def test_another_kind_of_url_is_one_sentence(address):
    with pytest.raises(TaskmarkError, match=rf"store '{address}' cannot be opened; give a folder"):
        Store.open(address)


OLD = (
    f"experts/{KEY}.json",
    f"experts/{KEY}.safetensors",
    f"checkpoints/{KEY}-000001-00000020.safetensors",
    f"data/{KEY}.json.damaged",
    f"data/.{KEY}.json.{OWNER}.0a0b0c0d.draft",
    f".can-write.{OWNER}.draft",
    f"locks/experts-{KEY}.lock",
    f"locks/run-{OWNER}-0a0b0c0d.lock",
)
NOT_OURS = (
    "data/dtd/train.npy",  # decoded images, which share the user's cache folder
    "data/facts.json",
    f"photos/{KEY}.json",
    "experts/notes.json",
    f"experts/deeper/{KEY}.json",
    "locks/poetry.lock",
    ".gitignore.draft",
    "locks/front-door.lock",
)


@pytest.fixture
def root(tmp_path):
    for name in (*OLD, *NOT_OURS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / f"{KEY}.json").symlink_to(tmp_path / NOT_OURS[0])
    Store(tmp_path).put("experts", KEY, {}, {})
    return tmp_path


def test_an_old_store_is_found_and_nothing_else(root):
    assert list_old_files(root) == sorted(root / name for name in OLD)
    assert old_store_size(root) == 5 * len(OLD)
    assert old_store_size(root / "none") == 0


def test_only_an_old_store_is_removed_with_the_folders_that_it_leaves_empty(root):
    kept = [*(root / name for name in NOT_OURS), *Store(root).files("experts", KEY)]
    remove_old_files(root)
    assert old_store_size(root) == 0
    assert all(path.is_file() for path in kept)
    assert (root / "heads" / f"{KEY}.json").is_symlink()
    assert not (root / "checkpoints").exists()
