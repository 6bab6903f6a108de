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


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("theta0 + lambda sum_t tau_t", "θ<sub>0</sub> + λ ∑<sub>t</sub> τ<sub>t</sub>"),
        (
            "theta_pre + prod_m (1 + Lambda_m)",
            "θ<sub>pre</sub> + ∏<sub>m</sub> (1 + Λ<sub>m</sub>)",
        ),
        ("f(x; theta0) at xi = 1", "f(x; θ<sub>0</sub>) at ξ = 1"),
        ("theta_{m-1} + 1", "θ<sub>m-1</sub> + 1"),
        ("the sum of alphabets", "the sum of alphabets"),
        ("`xi` and xi_1", "<code>xi</code> and ξ<sub>1</sub>"),
        ("a < tau & `b", "a &lt; τ &amp; `b"),
        ("<sub>tau_t</sub>", "&lt;sub&gt;τ<sub>t</sub>&lt;/sub&gt;"),
        ("theta.numpy and my_theta", "θ.numpy and my_theta"),
    ],
)
def test_formulas_are_written_in_characters_and_everything_else_is_escaped(text, written):
    assert str(number_formats.code(text)) == written


def test_what_an_edit_takes_is_said_in_words():
    assert number_formats.needs("weights", 0, 0.21) == "0.21 s, no data"
    assert number_formats.needs("unlabelled", 4000, 12.3) == "12.3 s, 4,000 images"
    assert number_formats.needs("labelled", 4000, None) == "4,000 images with labels"
