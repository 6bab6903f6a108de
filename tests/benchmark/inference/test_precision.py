"""Whether a faster precision keeps accuracies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmark.inference.choosing_passes import describe_lost_accuracy


def _bits(n_correct: int, n: int = 1000) -> np.ndarray:
    return np.arange(n) < n_correct


def test_a_tasks_accuracy_may_move_within_its_interval():
    """Wilson's interval of 900 of 1000 is 0.8799 to 0.9171, that of their mean 0.9 +- 0.0186."""
    exact = {"a": _bits(900)}
    assert describe_lost_accuracy(exact, {"a": _bits(882)}) is None
    assert describe_lost_accuracy(exact, {"a": _bits(917)}) is None
    assert (
        describe_lost_accuracy(exact, {"a": _bits(879)})
        == "the accuracy of a on validation from 90.0% to 87.9%"
    )
    assert describe_lost_accuracy(exact, {"a": _bits(918)}) is not None  # better is moved, too


@pytest.mark.parametrize(("lost", "kept"), [(9, True), (10, False)])
def test_many_tasks_may_not_move_together(lost, kept):
    """Of 4 tasks the mean's interval is half as wide: 0.93 points, with Wilson's half of 1.86."""
    exact = {task: _bits(900) for task in "abcd"}
    told = describe_lost_accuracy(exact, {task: _bits(900 - lost) for task in "abcd"})
    assert told == (None if kept else "the mean accuracy on validation by -1.00 points")


def test_images_that_change_both_ways_move_nothing():
    exact = _bits(500)
    assert describe_lost_accuracy({"a": exact}, {"a": ~exact}) is None


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=20), min_size=1, max_size=5))
def test_what_is_the_same_is_not_moved(bits):
    exact = {str(task): np.array(own) for task, own in enumerate(bits)}
    assert describe_lost_accuracy(exact, exact) is None
