"""Counted thresholds against sorting."""

import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st

from taskmark.methods.magnitude_counts import MagnitudeCounts
from taskmark.methods.trimming import kept_count

ENTRIES = st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=40)


def thresholds(*pieces, density):
    counts = MagnitudeCounts(len(pieces[0]), torch.device("cpu"))
    for piece in pieces:
        counts.add(piece)
    return counts.thresholds(density)


@settings(deadline=None, max_examples=50)
@given_that(row=ENTRIES, density=st.sampled_from([0.01, 0.2, 0.5, 1.0]), cut=st.integers(0, 40))
def test_it_is_the_kth_largest_rounded_down(row, density, cut):
    vector = torch.tensor(row)
    exact = vector.abs().sort(descending=True).values[kept_count(len(row), density) - 1]
    found = thresholds(vector[None, :cut], vector[None, cut:], density=density)[0]
    assert float(exact) * (1 - 2**-8) - 1e-38 <= float(found) <= float(exact)


def test_each_vector_has_its_own():
    rows = torch.tensor([[1.0, -4.0, 2.0, 0.5], [16.0, 8.0, -32.0, 64.0]])
    assert thresholds(rows, density=0.5).tolist() == [2.0, 32.0]


@pytest.mark.parametrize("row", [[0.0, 0.0], []])
def test_of_zeros_or_of_nothing_all_is_kept(row):
    assert thresholds(torch.tensor([row]), density=0.2).tolist() == [0.0]


def test_infinitely_small_numbers_are_kept_where_they_are_the_largest():
    tiny = torch.tensor([[1e-44, 0.0, 0.0]])
    assert float(thresholds(tiny, density=0.3)[0]) <= float(tiny[0, 0])
