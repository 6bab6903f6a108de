"""Numbers are written short, with a true minus, and in their unit."""

from __future__ import annotations

import pytest

from taskmark.reports.site import number_formats


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (None, ""),
        (0, "0"),
        (51_200, "51,200"),
        (0.0213, "0.021"),
        (3.14159, "3.1"),
        (1e6, "1,000,000"),
        (7e-5, "<0.001"),
    ],
)
def test_numbers_are_written_short(number, written):
    assert number_formats.compact(number) == written


@pytest.mark.parametrize(
    ("n_bytes", "written"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (24_576, "24.6 kB"),
        (3e6, "3 MB"),
        (2e12, "2,000.0 GB"),
    ],
)
def test_bytes_are_written_in_a_unit(n_bytes, written):
    assert number_formats.storage(n_bytes) == written


def test_differences_have_a_sign_and_a_true_minus():
    assert number_formats.signed(-0.0213) == "\u22122.1"
    assert number_formats.signed(0.0213) == "+2.1"


def test_a_measure_shows_its_interval():
    written = number_formats.measure(0.5, 0.4, 0.6)
    assert written == '<b>50.0</b> <span class="spread">[40.0, 60.0]</span>'


def test_backticks_become_code_and_nothing_else_markup():
    assert number_formats.code("`<a>` & b") == "<code>&lt;a&gt;</code> &amp; b"


def test_the_mean_is_that_of_what_is_known():
    assert number_formats.mean_of([1.0, None, 3.0]) == 2.0
    assert number_formats.mean_of([None]) is None
