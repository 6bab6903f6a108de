"""Measuring costs."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np
import torch

from taskmark.machine.costs import measure


def test_a_block_of_memory_shows_in_the_peak():
    with measure() as spent:
        # Asked of the system itself: an allocator may hand out what an earlier test gave back.
        block = np.frombuffer(mmap.mmap(-1, 40_000_000), dtype=np.uint8)
        block[:] = 1
    assert block.nbytes == 40_000_000
    assert spent.peak_bytes > 20_000_000
    assert spent.seconds > 0
    assert spent.cpu_seconds > 0


def test_a_block_that_raises_is_measured_as_well():
    with contextlib.suppress(ValueError), measure() as spent:
        raise ValueError
    assert spent.seconds > 0


def test_without_a_cuda_device_in_use_nothing_is_said_of_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with measure() as spent:
        pass
    assert spent.device_peak_bytes is None


def test_memory_on_a_device_is_what_the_block_adds_to_what_was_there(monkeypatch):
    now, peak = [100, 7], [900, 9]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "memory_allocated", now.__getitem__)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", peak.__getitem__)
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: peak.__setitem__(device, now[device])
    )
    with measure() as spent:
        peak[0] = 150
    assert spent.device_peak_bytes == 50
