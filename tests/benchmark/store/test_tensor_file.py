"""Safetensors written piece by piece: the bytes are the library's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from taskmark.store.tensor_file import Rows, pieces

DTYPES = (
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.float16,
    torch.bfloat16,
    torch.int32,
    torch.float32,
    torch.float64,
    torch.int64,
)


def written(tensors):
    return b"".join(pieces(tensors))


KINDS = st.dictionaries(
    st.text(),
    st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3)),
    max_size=6,
)


def drawn(kinds):
    source = torch.Generator().manual_seed(0)
    return {
        name: torch.randint(0, 100, shape, generator=source).to(dtype)
        for name, (dtype, shape) in kinds.items()
    }


@settings(deadline=None)
@given(KINDS)
def test_the_bytes_are_those_of_the_library(kinds):
    tensors = drawn(kinds)
    assert written(tensors) == save(tensors)


def test_views_are_written_with_their_own_values():
    turned = torch.arange(6.0).view(2, 3).T
    assert written({"t": turned}) == save({"t": turned.contiguous()})


def test_rows_make_the_bytes_of_the_whole():
    whole = torch.arange(12.0).view(3, 4)
    told = {"t": Rows((3, 4), torch.float32, iter(whole)), "n": torch.tensor(7)}
    assert written(told) == save({"t": whole, "n": torch.tensor(7)})


def test_large_tensors_come_in_pieces():
    whole = torch.arange(1 << 20, dtype=torch.int32)  # 4 MiB
    found = list(pieces({"t": whole}))
    assert max(map(len, found)) < whole.nbytes / 2
    assert torch.equal(load(b"".join(found))["t"], whole)


@pytest.mark.parametrize(("n", "words"), [(2, "16 bytes fewer"), (4, "16 bytes more")])
def test_rows_that_do_not_add_up_are_refused(n, words):
    told = {"t": Rows((3, 4), torch.float32, torch.zeros(n, 4))}
    with pytest.raises(ValueError, match=f"the rows of 't' are {words}"):
        written(told)
