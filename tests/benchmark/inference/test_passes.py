"""How many images pass at once, on GPUs that are not here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taskmark.inference.passes import (
    MOST,
    SHARE,
    Passes,
    fast_dtype,
    largest_batch_size,
    measure_batch_size,
    total_bytes,
)
from taskmark.machine import costs

GIB = 1 << 30


@pytest.mark.parametrize(
    ("batch_size", "peak", "total", "expected"),
    [
        (256, 5 * GIB, 80 * GIB, 1024),  # 20 GiB, just a quarter
        (256, 5 * GIB + 1, 80 * GIB, 512),
        (256, 10 * GIB, 80 * GIB, 512),
        (256, 10 * GIB, 79 * GIB, 256),
        (256, 60 * GIB, 80 * GIB, 256),  # never less than the protocol says
        (256, 1, 80 * GIB, 1024),  # never more than is of use
        (300, 1, 80 * GIB, 600),
        (2000, 1, 80 * GIB, 2000),
        (256, 0, 80 * GIB, 256),  # nothing was measured
    ],
)
def test_a_batch_takes_a_quarter_of_the_memory_at_most(batch_size, peak, total, expected):
    assert (SHARE, MOST) == (0.25, 1024)
    assert largest_batch_size(batch_size, peak_bytes=peak, total_bytes=total) == expected


@given(
    batch_size=st.integers(1, 2000),
    peak=st.integers(1, 1 << 40),
    total=st.integers(0, 1 << 40),
    more=st.integers(0, 1 << 40),
)
def test_batches_are_the_protocols_doubled_as_long_as_they_fit(batch_size, peak, total, more):
    batch = largest_batch_size(batch_size, peak_bytes=peak, total_bytes=total)
    times = batch // batch_size
    assert batch == batch_size * times
    assert times.bit_count() == 1
    if times > 1:
        assert batch <= MOST
        assert 4 * times * peak <= total
    if 2 * batch <= MOST:
        assert 4 * 2 * times * peak > total
    assert largest_batch_size(batch_size, peak_bytes=peak, total_bytes=total + more) >= batch


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose peak a test sets."""
    card = SimpleNamespace(held=0, peak=0)

    def reset(_device: int) -> None:
        card.peak = card.held

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: card.held)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device: card.peak)
    monkeypatch.setattr(costs.torch.cuda, "reset_peak_memory_stats", reset)
    return card


def test_what_one_pass_takes_is_measured_once_libraries_have_their_memory(gpu):
    passed = []

    def one_pass(n: int) -> None:
        gpu.held = 500  # workspaces, at first; they stay
        gpu.peak = max(gpu.peak, gpu.held + 10 * n)
        passed.append(n)

    assert measure_batch_size(8, one_pass, total_bytes=4 * 4 * 80) == 32
    assert passed == [1, 8]


def test_a_cpu_has_neither_memory_to_fill_nor_a_faster_precision():
    assert total_bytes(torch.device("cpu")) is None
    assert fast_dtype(torch.device("cpu")) is None


def test_a_gpus_whole_memory_counts_whatever_is_free(monkeypatch):
    cards = {torch.device("cuda:1"): SimpleNamespace(total_memory=80 * GIB)}
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    assert total_bytes(torch.device("cuda:1")) == 80 * GIB


@pytest.mark.parametrize(("built_in", "expected"), [(True, torch.bfloat16), (False, None)])
def test_emulated_bfloat16_is_not_fast(monkeypatch, built_in, expected):
    def supported(*, including_emulation: bool) -> bool:
        return including_emulation or built_in

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert fast_dtype(torch.device("cuda")) == expected


@pytest.mark.parametrize("passes", [Passes(256), Passes(1024, torch.bfloat16)])
def test_they_can_be_stored(passes):
    assert Passes.of(passes.facts) == passes
    assert passes.facts["dtype"] in ("float32", "bfloat16")
