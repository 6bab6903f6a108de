"""Memory that does not suffice: recognised, met with smaller batches, noted, and measured."""

from __future__ import annotations

import dataclasses
import os
import resource

import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from tiny_setting import setting_of

from taskmark import Head
from taskmark.inference.items import Items
from taskmark.inference.readers import reader
from taskmark.machine import out_of_memory
from taskmark.machine.out_of_memory import BatchSplitter
from taskmark.store.recording import recording

GPU = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB "
    "of which 1.20 GiB is free."
)
CPU = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 4096 bytes. Error code 12 (Cannot allocate memory)"
)
NUMPY = "Unable to allocate 7.45 GiB for an array with shape (1000000000,) and data type float64"


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (torch.OutOfMemoryError(GPU), int(2.5 * 2**30)),
        (RuntimeError(CPU), 4096),
        (MemoryError(NUMPY), int(7.45 * 2**30)),
        (MemoryError(), None),
        (RuntimeError("CUDA error: out of memory"), None),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), None),
    ],
)
def test_errors_that_say_that_memory_is_short_are_told_with_what_was_asked_for(error, asked):
    assert out_of_memory.is_out_of_memory(error)
    assert out_of_memory.parse_asked_bytes(error) == asked
    assert out_of_memory.explain(error).startswith("out of memory: ")
    assert ("more asked for" in out_of_memory.explain(error)) == (asked is not None)


def test_the_sentence_adds_what_was_asked_for_to_what_was_held(monkeypatch):
    monkeypatch.setattr("taskmark.machine.costs.peak_bytes", lambda: 3 * 2**29)
    assert out_of_memory.explain(MemoryError("Unable to allocate 2.00 GiB")) == (
        "out of memory: at least 3.50 GiB would have been needed "
        "(1.50 GiB held, 2.00 GiB more asked for)"
    )
    assert out_of_memory.explain(MemoryError()) == (
        "out of memory: more than 1.50 GiB would have been needed"
    )


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shape mismatch"), ValueError("out of memory"), OSError(12, "out of memory")],
)
def test_other_errors_are_none_of_memory(error):
    assert not out_of_memory.is_out_of_memory(error)


def test_what_torch_really_raises_is_recognised():
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
        try:
            torch.empty(2**40, dtype=torch.uint8)
        except RuntimeError as error:
            os._exit(
                0
                if out_of_memory.is_out_of_memory(error)
                and out_of_memory.parse_asked_bytes(error) == 2**40
                else 1
            )
        os._exit(2)

    child = os.fork()
    if not child:
        limited()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Small:
    """Something that fits `most` images, and remembers what it was called on."""

    def __init__(self, most: int) -> None:
        self.most, self.sizes = most, []

    def __call__(self, part: torch.Tensor) -> torch.Tensor:
        if len(part) > self.most:
            raise torch.OutOfMemoryError(GPU)
        self.sizes.append(len(part))
        return 2 * part


@settings(max_examples=20)
@for_all(st.integers(0, 50), st.integers(1, 60))
def test_parts_together_are_the_batch_and_none_is_too_large(n, most):
    batch, call, room = torch.arange(n), Small(most), BatchSplitter()
    with recording("test"):
        found = [*room.each(call, batch), *room.each(call, batch)]
    assert (
        torch.cat([*found, torch.tensor([])]).tolist() == (2 * torch.cat([batch, batch])).tolist()
    )
    assert all(size <= most for size in call.sizes)
    if n > 0:
        assert max(call.sizes) >= min(n, (most + 1) // 2)  # no smaller than halving must make it


def test_halving_is_noted_once_and_remembered():
    call, room = Small(3), BatchSplitter()
    with recording("test") as account:
        list(room.each(call, torch.arange(12)))
        list(room.each(call, torch.arange(12)))
    assert call.sizes == [3] * 8
    assert list(account.notes) == [
        "out of memory: 6 images at a time instead of 12",
        "out of memory: 3 images at a time instead of 6",
    ]


def test_one_image_that_does_not_fit_is_an_error_and_so_is_any_other_error():
    with pytest.raises(torch.OutOfMemoryError):
        list(BatchSplitter().each(Small(0), torch.arange(4)))
    with pytest.raises(ZeroDivisionError):
        list(BatchSplitter().each(lambda _: 1 / 0, torch.arange(4)))


@pytest.mark.parametrize("mode", ["standard", "tangent"])
def test_readers_go_on_with_smaller_batches_to_the_same_predictions(
    encoder, inputs, source, monkeypatch, mode
):
    setting, inputs = setting_of(encoder.float(), batch_size=16), inputs.float()
    head = Head(torch.randn(3, 8, generator=source), torch.zeros(3))
    vector = 0.1 * torch.ones_like(setting.pretrained)
    whole_task = Items(head, inputs, torch.zeros(len(inputs), dtype=torch.int64))
    work = {"one": whole_task, "other": whole_task.at(torch.arange(5))}
    whole = reader(mode, setting).predict(vector, [0.0, 1.0], work)
    forward, sizes = type(encoder).forward, []

    def short(module, batch):
        sizes.append(len(batch))
        if len(batch) > 4:
            raise torch.OutOfMemoryError(GPU)
        return forward(module, batch)

    monkeypatch.setattr(type(encoder), "forward", short)
    small = dataclasses.replace(setting, room=BatchSplitter())
    with recording("test") as account:
        parts = reader(mode, small).predict(vector, [0.0, 1.0], work)
    assert {task: rows.tolist() for task, rows in parts.items()} == {
        task: rows.tolist() for task, rows in whole.items()
    }
    assert 4 in sizes
    assert account.notes
