"""Which worker computes where, on machines that are not here."""

from __future__ import annotations

import multiprocessing

import pytest
import torch

from taskmark.engine import worker
from taskmark.engine.stage_store import StageStore
from taskmark.machine import determinism, devices
from taskmark.store.artifacts import Store


@pytest.mark.parametrize(
    ("device", "n_workers", "n_gpus", "expected"),
    [
        ("cpu", 3, 0, ("cpu", "cpu", "cpu")),
        ("cuda", 1, 1, ("cuda",)),
        ("cuda", 2, 1, ("cuda", "cuda")),
        ("cuda", 4, 4, ("cuda:0", "cuda:1", "cuda:2", "cuda:3")),
        ("cuda", 3, 2, ("cuda:0", "cuda:1", "cuda:0")),
        ("cuda", 1, 4, ("cuda:0",)),
        ("cuda:2", 2, 1, ("cuda:2", "cuda:2")),
        ("cuda", 0, 4, ()),
    ],
)
def test_workers_take_the_gpus_in_turn(device, n_workers, n_gpus, expected):
    assert devices.assign_devices(device, n_workers, n_gpus=n_gpus) == expected


@pytest.mark.parametrize(
    ("device", "there", "usable", "workers"),
    [("cpu", 4, 0, 16), ("cuda", 4, 4, 4), ("cuda", 1, 1, 1), ("cuda:3", 4, 1, 1)],
)
def test_there_is_one_process_a_gpu_unless_one_is_named(
    monkeypatch, device, there, usable, workers
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    assert devices.count_gpus(device) == usable
    assert devices.count_default_workers(usable, 16) == workers


def test_a_number_does_not_make_another_kind():
    assert [devices.kind_of(name) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda"]


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """The devices that torch was told to use by a worker that started."""
    told = []
    monkeypatch.setattr(torch.cuda, "set_device", told.append)
    monkeypatch.setattr(determinism, "require_determinism", lambda: None)
    monkeypatch.setattr(worker, "_store", None)
    monkeypatch.setattr(worker, "_watched", worker._watched)

    def start(device, *places):
        free = multiprocessing.get_context("spawn").SimpleQueue()
        for place in places:
            free.put(place)
        for _ in places or [None]:
            store = StageStore(Store(tmp_path), device)
            worker.start(store, free if places else None, ignore_interrupts=False)
            yield worker._store.device, told[-1:]

    return start


def test_each_worker_takes_a_device_of_its_own(chosen):
    assert list(chosen("cuda", "cuda:0", "cuda:1")) == [
        ("cuda:0", ["cuda:0"]),
        ("cuda:1", ["cuda:1"]),
    ]


def test_the_only_gpu_and_a_cpu_need_no_choice(chosen):
    assert list(chosen("cuda")) == [("cuda", [])]
    assert list(chosen("cpu", "cpu")) == [("cpu", [])]
