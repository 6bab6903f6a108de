"""The store: whole, verified, or made again."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.store.artifacts import Store
from taskmark.store.durable import atomic_write

FACTS = {"accuracy": 0.1 + 0.2, "names": ["a", "ä"], "nothing": None, "deep": {"n": 1}}
TENSORS = {"x": torch.arange(6.0).view(2, 3), "bits": torch.tensor([True, False])}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.put("kind", "key", TENSORS, FACTS)
    return store


def _files(store: Store, suffix: str) -> list[Path]:
    return sorted(store.root.rglob(f"*{suffix}"))


def test_what_was_put_is_got_back(store):
    artifact = store.get("kind", "key")
    assert artifact.facts == FACTS
    assert {name: tensor.tolist() for name, tensor in artifact.tensors.items()} == {
        name: tensor.tolist() for name, tensor in TENSORS.items()
    }


@settings(deadline=None, max_examples=30)
@for_all(st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text() | st.integers()))
def test_any_facts_survive_the_round_trip(tmp_path_factory, facts):
    store = Store(tmp_path_factory.mktemp("store"))
    store.put("kind", "key", {}, facts)
    assert store.get("kind", "key").facts == facts


def test_only_what_was_made_is_there(store):
    assert store.has("kind", "key")
    assert not store.has("kind", "other")
    with pytest.raises(TaskmarkError, match="has no kind other; run again"):
        store.get("kind", "other")


def test_tensors_that_are_views_are_stored_with_their_own_values(store):
    store.put("kind", "view", {"t": torch.arange(6).view(2, 3).T}, {})
    assert store.get("kind", "view").tensors["t"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_writing_to_what_was_got_changes_neither_the_file_nor_other_readers(store):
    first, second = store.get("kind", "key").tensors["x"], store.get("kind", "key").tensors["x"]
    first.fill_(9)
    assert second.tolist() == TENSORS["x"].tolist()
    assert store.get("kind", "key").tensors["x"].tolist() == TENSORS["x"].tolist()


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = {
    "a flipped bit in the tensors": lambda data, _: _flip(data, -1),
    "a flipped bit in the header of the tensors": lambda data, _: _flip(data, 12),
    "truncated tensors": lambda data, _: data.write_bytes(data.read_bytes()[:-3]),
    "empty tensors": lambda data, _: data.write_bytes(b""),
    "no tensors": lambda data, _: data.unlink(),
    "another digit in the facts": lambda _, facts: facts.write_text(
        facts.read_text().replace("0.30000000000000004", "0.40000000000000004")
    ),
    "truncated facts": lambda _, facts: facts.write_bytes(facts.read_bytes()[:-5]),
    "garbage for facts": lambda _, facts: facts.write_bytes(b"\xff\x00garbage"),
    "other JSON for facts": lambda _, facts: facts.write_bytes(b"[1]"),
    "facts without a hash": lambda _, facts: facts.write_bytes(b'{"facts": {}}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_artifact_is_set_aside_and_can_be_made_again(store, damage):
    (data,), (facts,) = _files(store, ".safetensors"), _files(store, ".json")
    DAMAGES[damage](data, facts)
    with pytest.raises(CorruptArtifactError, match="was set aside"):
        store.get("kind", "key")
    assert not store.has("kind", "key")
    assert _files(store, ".json.damaged")
    store.put("kind", "key", TENSORS, FACTS)
    assert store.get("kind", "key").facts == FACTS


def test_a_file_is_replaced_as_a_whole_and_leaves_no_temporary_one(tmp_path):
    path = tmp_path / "deep" / "file.json"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "fdopen", "replace"])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, call):
    path = tmp_path / "file.json"
    atomic_write(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(TaskmarkError, match=r"cannot be written \(No space left on device\); free"):
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file.json", b"new")
    assert not list(tmp_path.iterdir())


def test_an_artifact_is_not_there_before_all_of_it_is(tmp_path, monkeypatch):
    store = Store(tmp_path)
    written = []

    def only_once(path: Path, content: bytes) -> None:
        if written:
            raise TaskmarkError("The disk is full.")
        written.append(path)
        atomic_write(path, content)

    monkeypatch.setattr(sys.modules["taskmark.store.artifacts"], "atomic_write", only_once)
    with pytest.raises(TaskmarkError):
        store.put("kind", "key", TENSORS, FACTS)
    assert written
    assert not store.has("kind", "key")


@pytest.mark.parametrize("place", ["a file in the folder's place", "the kernel's folder"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, place):
    if place.startswith("a file"):
        (tmp_path / "blocked").write_text("x")
        folder = tmp_path / "blocked" / "deeper"
    else:
        folder = Path("/proc/taskmark")
    with pytest.raises(TaskmarkError, match="cannot be written"):
        atomic_write(folder / "file", b"x")
