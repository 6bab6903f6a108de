"""Chunks cover a slice once, in order, and fit the cache."""

import itertools

import pytest
import torch

from taskmark.methods.chunks import chunks, pieces


@pytest.mark.parametrize("n_tasks", [1, 3, 8, 20, 1_000_000])
def test_chunks_cover_the_slice_once_and_in_order(n_tasks):
    found = list(chunks(slice(7, 500_000), n_tasks))
    assert found[0].start == 7
    assert found[-1].stop == 500_000
    assert all(before.stop == after.start for before, after in itertools.pairwise(found))


@pytest.mark.parametrize("n_tasks", [1, 3, 8, 20])
def test_all_but_the_last_have_one_length_that_draws_come_out_even_in(n_tasks):
    *whole, last = (chunk.stop - chunk.start for chunk in chunks(slice(0, 999_999), n_tasks))
    assert len(set(whole)) == 1
    assert whole[0] % 4 == 0
    assert 0 < last <= whole[0]
    assert whole[0] * n_tasks <= 262_144


def test_an_empty_slice_has_no_chunks():
    assert list(chunks(slice(5, 5), 3)) == []


def test_pieces_are_the_chunks_with_one_memory_for_all():
    vectors = torch.arange(3 * 400_000.0).view(3, 400_000)
    places = set()
    walked = list(chunks(slice(7, 399_990), 3))
    for expected, (chunk, rows, room) in zip(
        walked, pieces(vectors, slice(7, 399_990)), strict=True
    ):
        assert chunk == expected
        assert torch.equal(rows, vectors[:, chunk])
        assert room.shape == rows.shape
        assert room.is_contiguous()
        places.add(room.data_ptr())
        room.fill_(-1)
    assert len(walked) > 2
    assert len(places) == 1
    assert bool((vectors >= 0).all())


def test_an_empty_slice_has_no_pieces():
    assert list(pieces(torch.empty(2, 0), slice(0, 0))) == []
