"""The store: whole, verified, or made again."""

from __future__ import annotations

import copy
import os
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from taskmark.atomic_files import write_atomically
from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.store.artifacts import Store

if TYPE_CHECKING:
    from pathlib import Path

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


def test_an_artifact_is_not_there_before_all_of_it_is(tmp_path, monkeypatch):
    store = Store(tmp_path)
    written = []

    def only_once(path: Path, content: object) -> None:
        if written:
            raise TaskmarkError("The disk is full.")
        written.append(path)
        write_atomically(path, content)

    monkeypatch.setattr(sys.modules["taskmark.store.artifacts"], "write_atomically", only_once)
    with pytest.raises(TaskmarkError):
        store.put("kind", "key", TENSORS, FACTS)
    assert written
    assert not store.has("kind", "key")


def _touch(path: Path) -> None:
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def test_an_artifact_is_hashed_once_however_often_it_is_read(store):
    for _ in range(3):
        store.get("kind", "key")
    assert store.n_read == {"kind/key": 3}
    assert store.n_hashed == {"kind/key": 1}


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_an_artifact_that_was_touched_is_hashed_again(store, suffix):
    store.get("kind", "key")
    (path,) = _files(store, suffix)
    _touch(path)
    assert store.get("kind", "key").facts == FACTS
    assert store.n_hashed == {"kind/key": 2}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_shows_after_the_first_reading_too(store, damage):
    store.get("kind", "key")
    (data,), (facts,) = _files(store, ".safetensors"), _files(store, ".json")
    DAMAGES[damage](data, facts)
    for path in (data, facts):
        if path.exists():
            _touch(path)
    with pytest.raises(CorruptArtifactError, match="was set aside"):
        store.get("kind", "key")


def test_an_artifact_that_is_made_again_is_hashed_again(store):
    store.get("kind", "key")
    store.remove("kind", "key")
    store.put("kind", "key", {"x": torch.zeros(2, 3)}, FACTS)
    assert store.get("kind", "key").tensors["x"].sum() == 0
    assert store.n_hashed == {"kind/key": 2}


def test_verifying_reads_what_was_read_before(store):
    store.get("kind", "key")
    (data,) = _files(store, ".safetensors")
    times = data.stat()
    _flip(data, -1)
    os.utime(data, ns=(times.st_atime_ns, times.st_mtime_ns))
    store.get("kind", "key")  # nothing shows the change
    with pytest.raises(CorruptArtifactError, match="was set aside"):
        store.verify("kind", "key")


def test_what_one_process_has_verified_another_verifies_for_itself(store):
    store.get("kind", "key")
    other = copy.copy(store)  # as a process that starts gets it
    assert other.root == store.root
    other.get("kind", "key")
    assert other.n_hashed == {"kind/key": 1}
