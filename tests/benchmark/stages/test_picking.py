"""Which images of a split a measure looks at."""

import pytest
import torch

from taskmark.stages.item_sample import sample_items

SORTED = torch.arange(40).repeat_interleave(40)  # 40 classes, one after the other


@pytest.mark.parametrize(("wanted", "expected"), [(3, [0, 1, 2]), (5, list(range(5))), (9, 5)])
def test_the_first_images_are_those_or_all(wanted, expected):
    found = torch.arange(5)[sample_items(5, wanted, "first", task="land")]
    assert found.tolist() == (list(range(expected)) if isinstance(expected, int) else expected)


def test_of_a_split_that_is_sorted_by_class_images_of_most_classes_are_drawn():
    assert len(SORTED[sample_items(len(SORTED), 400, "first", task="land")].unique()) == 10
    rows = sample_items(len(SORTED), 400, "drawn", task="land")
    assert len(rows.unique()) == 400
    # All classes have ten on average; that one of the 40 has none has a chance of 1e-3.
    assert len(SORTED[rows].unique()) >= 39


def test_what_is_drawn_is_the_same_each_time_and_another_for_each_task():
    rows = sample_items(100, 10, "drawn", task="land")
    assert torch.equal(rows, sample_items(100, 10, "drawn", task="land"))
    assert not torch.equal(rows, sample_items(100, 10, "drawn", task="street"))
    assert torch.equal(rows[:5], sample_items(100, 5, "drawn", task="land"))


def test_of_a_split_with_no_more_images_all_are_taken_in_order():
    assert torch.arange(4)[sample_items(4, 9, "drawn", task="land")].tolist() == [0, 1, 2, 3]
