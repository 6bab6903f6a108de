"""Chunks cover a slice once, in order, and fit the cache."""

import itertools

import pytest

from taskmark.methods.chunks import chunks


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
