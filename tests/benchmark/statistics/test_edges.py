"""Near 0 and 1 intervals are Wilson's, and ratios of such shares stay within their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskmark.statistics.edges import Z, is_near_edge, ratio_ends, share_ends
from taskmark.statistics.intervals import proportion_interval


@pytest.mark.parametrize(("right", "n"), [(50, 50), (0, 50), (49, 50), (3, 10), (1, 1)])
def test_a_share_of_independent_images_has_the_interval_of_wilson(right, n):
    share = right / n
    found = share_ends(share, Z * np.sqrt(share * (1 - share) / n), n)
    assert found == pytest.approx(proportion_interval(right, n), abs=1e-12)


@pytest.mark.parametrize(
    ("share", "error", "n", "near"),
    [
        (1.0, 0.0, 10_000, True),
        (0.97, 0.01, 100, True),
        (0.03, 0.01, 100, True),
        (0.97, 0.01, 1000, False),
        (0.97, 0.0, 100, False),  # known, and not seen on images
    ],
)
def test_fewer_than_thirty_of_one_kind_are_few(share, error, n, near):
    assert is_near_edge(share, error, n) is near


def test_a_ratio_to_a_known_share_is_the_share_over_it():
    found = ratio_ends(0.9, 0.5, ((0.8, 0.95), (0.5, 0.5)), 0.0)
    assert found == pytest.approx((1.6, 1.9))


def test_correlated_shares_have_a_narrower_ratio():
    ends = ((0.8, 0.95), (0.85, 0.98))
    low, high = ratio_ends(0.9, 0.93, ends, 0.0)
    narrow_low, narrow_high = ratio_ends(0.9, 0.93, ends, 0.9)
    assert low < narrow_low < 0.9 / 0.93 < narrow_high < high


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 60),
    first=st.floats(0, 1),
    second=st.floats(0, 1),
    correlation=st.floats(-1, 1),
)
def test_ends_hold_the_ratio_and_are_finite(n, first, second, correlation):
    a, b = round(first * n) / n, max(round(second * n), 1) / n
    ends = (proportion_interval(round(a * n), n), proportion_interval(round(b * n), n))
    low, high = ratio_ends(a, b, ends, correlation)
    assert 0 <= low <= a / b <= high < np.inf
