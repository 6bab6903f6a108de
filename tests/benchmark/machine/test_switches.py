"""Global switches are found turned, by name, and set back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskmark.machine.switches import restore, restored, switches

TURNS = {
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


def test_every_switch_is_tried_here():
    assert TURNS.keys() == switches().keys()


@pytest.mark.parametrize("name", TURNS)
def test_a_turned_switch_is_named_and_set_back(name):
    before = switches()
    TURNS[name]()
    assert switches() != before
    assert restore(before) == [name]
    assert switches() == before
    assert restore(before) == []


@restored()
def turn_all_and_fail():
    for turn in TURNS.values():
        turn()
    raise ValueError("no")


def test_all_of_them_are_set_back_after_an_error():
    before = switches()
    with pytest.raises(ValueError, match="no"):
        turn_all_and_fail()
    assert switches() == before
    assert torch.zeros(1).device.type == "cpu"
