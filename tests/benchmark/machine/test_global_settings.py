"""Global settings that changed are named and put back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskmark.machine.global_settings import keep_settings, read_settings, restore_settings

CHANGES = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's gradients": lambda: torch.set_grad_enabled(False),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "torch's precision of matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "torch's fast path of attention": lambda: torch.backends.mha.set_fastpath_enabled(False),
    "torch's handling of tiny numbers": lambda: torch.set_flush_denormal(True),
    "numpy's handling of errors": lambda: np.seterr(divide="raise"),
}


def test_every_setting_is_tried_here():
    assert CHANGES.keys() == read_settings().keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_is_named_and_put_back(name):
    before = read_settings()
    CHANGES[name]()
    assert read_settings() != before
    assert restore_settings(before) == [name]
    assert read_settings() == before
    assert restore_settings(before) == []


@keep_settings()
def change_all_and_fail():
    for change in CHANGES.values():
        change()
    raise ValueError("no")


def test_all_of_them_are_put_back_after_an_error():
    before = read_settings()
    with pytest.raises(ValueError, match="no"):
        change_all_and_fail()
    assert read_settings() == before
    assert torch.zeros(1).device.type == "cpu"
