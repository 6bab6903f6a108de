"""The method by hand, and every conformance check of taskmark as a test case."""

import torch
from taskmark_median.median import Median

from taskmark import Given, WeightSpace
from taskmark.conformance import parametrize_checks


@parametrize_checks(Median)
def test_it_conforms(check):
    check()


def merged(rows, **fields):
    """Merge task vectors over one tensor."""
    vectors = torch.tensor(rows, dtype=torch.float32)
    space = WeightSpace.of({"w": torch.zeros(vectors.shape[1])})
    given = Given.of_weights(torch.zeros(space.size), vectors, space)
    return Median(**fields).merge(given).tolist()


def test_the_middle_of_three_is_taken():
    assert merged([[1, 9, 0], [2, -4, 0], [7, 3, 6]]) == [2, 3, 0]


def test_of_four_the_two_in_the_middle_are_averaged():
    assert merged([[1], [2], [4], [9]]) == [3]


def test_without_trimming_it_is_the_mean():
    assert merged([[1], [2], [9]], trim=0) == [4]
