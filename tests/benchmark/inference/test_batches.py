"""Batches out of memory maps: the rows that were asked for, in their order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskmark.inference.batches import in_a_row, on_device, stream_batches

CPU = torch.device("cpu")
IMAGES = torch.arange(30 * 12).to(torch.uint8).view(30, 3, 2, 2)


def all_of(batches):
    """Copies, since a batch is overwritten by the one after the next."""
    return [batch.clone() for batch in batches]


@settings(max_examples=25)
@given(n_rows=st.integers(0, 23), batch_size=st.integers(1, 9), threads=st.integers(1, 3))
def test_batches_are_the_rows_in_their_order(n_rows, batch_size, threads):
    rows = torch.randint(0, 30, (n_rows,), generator=torch.Generator().manual_seed(n_rows))
    order = torch.split(rows, batch_size) if n_rows else []
    found = all_of(stream_batches([[(IMAGES, index)] for index in order], CPU, threads=threads))
    assert len(found) == len(order)
    for batch, index in zip(found, order, strict=True):
        assert torch.equal(batch, IMAGES[index])


@settings(max_examples=50)
@given(lengths=st.lists(st.integers(0, 7), max_size=5), batch_size=st.integers(1, 9))
def test_several_parts_in_a_row_are_cut_across_their_borders(lengths, batch_size):
    parts = [IMAGES[k : k + n] for k, n in enumerate(lengths)]
    whole = torch.cat([*parts, IMAGES[:0]])
    batches = list(in_a_row(parts, batch_size))
    expected = torch.split(whole, batch_size) if len(whole) else ()
    for found, own in zip(all_of(stream_batches(batches, CPU)), expected, strict=True):
        assert torch.equal(found, own)


def test_a_batch_of_a_file_is_what_the_file_holds(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES.numpy())
    mapped = np.lib.format.open_memmap(tmp_path / "images.npy", mode="c")
    order = [torch.tensor([29, 0, 3]), torch.tensor([7])]
    first, second = all_of(on_device(torch.from_numpy(mapped), order, CPU))
    assert torch.equal(first, IMAGES[[29, 0, 3]])
    assert torch.equal(second, IMAGES[[7]])


def test_no_more_than_two_batches_are_in_memory():
    places = {b.data_ptr() for b in stream_batches(list(in_a_row([IMAGES], 3)), CPU)}
    assert len(places) == 2


def test_what_is_no_stream_of_bytes_is_indexed_as_it_is():
    floats = IMAGES.float()
    (batch,) = on_device(floats, [torch.tensor([2, 1])], CPU)
    assert torch.equal(batch, floats[[2, 1]])


@pytest.mark.parametrize("row", [-1, 30])
def test_rows_that_are_not_there_are_refused(row):
    with pytest.raises(IndexError, match="of 30 images"):
        next(stream_batches([[(IMAGES, torch.tensor([0, row]))]], CPU))


def test_an_iteration_that_is_given_up_ends_its_threads():
    batches = stream_batches(list(in_a_row([IMAGES], 3)), CPU)
    next(batches)
    batches.close()
    assert not list(batches)
