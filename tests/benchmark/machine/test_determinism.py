"""What is asked of torch before anything runs on a GPU."""

from __future__ import annotations

import pytest
import torch

from taskmark.machine import determinism
from taskmark.machine.global_settings import keep_settings


@pytest.fixture
def set_back(monkeypatch):
    """Set back what is turned."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    convolutions = torch.backends.cudnn
    before = convolutions.benchmark, convolutions.allow_tf32
    filled = torch.utils.deterministic.fill_uninitialized_memory
    with keep_settings():
        yield
    convolutions.benchmark, convolutions.allow_tf32 = before
    torch.utils.deterministic.fill_uninitialized_memory = filled


@pytest.mark.usefixtures("set_back")
def test_float32_is_float32_in_convolutions_too():
    torch.backends.cudnn.allow_tf32 = True
    determinism.require_determinism()
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.are_deterministic_algorithms_enabled()
