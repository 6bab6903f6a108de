"""What stays on a device."""

from __future__ import annotations

import pytest
import torch

import taskmark.inference.device_cache
from taskmark.inference.device_cache import SHARE, fits, keep_on_device


@pytest.mark.parametrize(
    ("n_bytes", "free", "stays"),
    [(0, 0, True), (25, 100, True), (26, 100, False), (1, 3, False), (20 << 30, 80 << 30, True)],
)
def test_a_quarter_of_the_free_memory_is_for_data(n_bytes, free, stays):
    assert fits(n_bytes, free) is stays
    assert SHARE == 0.25


def test_a_cpu_takes_what_there_is():
    tensor = torch.zeros(3)
    assert keep_on_device(torch.device("cpu"), tensor)[0] is tensor


def test_what_does_not_fit_together_stays_where_it_is(monkeypatch):
    """Of a GPU that is not here, as far as it is asked before anything is moved."""
    asked = []

    def free(device):
        asked.append(device)
        return 4 * 23

    monkeypatch.setattr(taskmark.inference.device_cache, "_free_bytes", free)
    gpu, tensors = torch.device("cuda:1"), (torch.zeros(12, dtype=torch.uint8), torch.zeros(3))
    assert all(a is b for a, b in zip(keep_on_device(gpu, *tensors), tensors, strict=True))
    assert asked == [gpu]
