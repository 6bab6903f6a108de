"""Damaged artifacts are made again, by the run that meets them and with identical records."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from taskmark.store import inventory
from taskmark.store.artifacts import Store

if TYPE_CHECKING:
    from pathlib import Path

CHOICE = {"tasks": ("hills", "lakes"), "recipes": ("standard",)}
RECORDS = ("records", "disentanglement")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made") / "store"


def _contents(outcome) -> set[str]:
    """The records with all but times and dates."""
    records = (*outcome.records, *outcome.of("disentanglement"))
    return {record.with_record_id().record_id for record in records}


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


# What is damaged, and what is removed so that a run must read it.
DAMAGES = {
    "records/*.json": (),
    "disentanglement/*.json": (),
    "expert_reference/*.safetensors": RECORDS,
    "task_vectors/*.safetensors": RECORDS,
    "experts/*.safetensors": ("task_vectors", "expert_reference", *RECORDS),
    "heads/*.safetensors": ("task_vectors", "expert_reference", *RECORDS),
    "inputs_test/*.safetensors": RECORDS,
    "inputs/*.json": ("heads", *RECORDS),
    "data_test/*.safetensors": ("inputs", *RECORDS),
    "data/*.safetensors": ("inputs", *RECORDS),
}


@pytest.mark.parametrize("damaged", DAMAGES)
def test_damaged_artifacts_are_made_again_with_identical_records(tiny_run, tmp_path, made, damaged):
    whole = tiny_run(store=made, **CHOICE)
    store = Store(tmp_path / "store")
    shutil.copytree(made, store.root)
    for kind in DAMAGES[damaged]:
        shutil.rmtree(store.folder / kind)
    files = list(store.folder.glob(damaged))
    assert files
    for path in files:
        _damage(path)
    mended = tiny_run(store=store.root, **CHOICE)
    assert _contents(mended) == _contents(whole)
    assert list(store.folder.glob(f"{damaged}.damaged"))
    assert inventory.verify_all(store)[1] == []
