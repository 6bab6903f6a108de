"""The k-th largest magnitude, exact whatever the road taken to it."""

import math

import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from naive_formulas import trimmed

from taskmark.methods import trimming
from taskmark.methods.trimming import just_below, kept_count, magnitudes_of_rank, threshold

DENSITIES = st.floats(0.001, 1.0)


def exact(vector, density):
    return float(vector.abs().sort(descending=True).values[kept_count(len(vector), density) - 1])


@pytest.mark.parametrize(
    ("size", "density", "count"),
    [
        (0, 0.5, 0),
        (1, 0.01, 1),  # a single element does not vanish
        (3, 0.2, 1),  # 0.6
        (7, 0.2, 1),  # 1.4
        (8, 0.2, 2),  # 1.6
        (5, 0.5, 2),  # 2.5: halves go to the even neighbour
        (7, 0.5, 4),  # 3.5
        (100, 0.29, 29),  # 28.999999999999996 in floating point
        (9, 1.0, 9),
    ],
)
def test_the_count_is_the_nearest_integer_but_never_none_of_some(size, density, count):
    assert kept_count(size, density) == count


@settings(deadline=None)
@given_that(values=st.lists(st.integers(-9, 9), min_size=1, max_size=40), density=DENSITIES)
def test_the_threshold_is_the_kth_largest_magnitude(values, density):
    vector = torch.tensor(values, dtype=torch.float32)
    found = threshold(vector, density, scratch=torch.empty(len(values)))
    survivors = [v if abs(v) >= found else 0.0 for v in values]
    assert survivors == trimmed(values, density)


def test_nothing_has_the_threshold_zero():
    assert threshold(torch.empty(0), 0.2, scratch=torch.empty(0)) == 0.0


def test_the_vector_is_only_read():
    vector = torch.tensor([3.0, -4.0, 1.0])
    threshold(vector, 0.5, scratch=torch.empty(3))
    assert vector.tolist() == [3.0, -4.0, 1.0]


LARGE = {
    "normal": lambda g: torch.randn(60_000, generator=g),
    "heavy tails": lambda g: torch.randn(60_000, generator=g) ** 5,
    "mostly zeros": lambda g: (torch.randn(60_000, generator=g) - 1).relu(),
    "few values": lambda g: torch.randint(-3, 4, (60_000,), generator=g),
    "constant": lambda _: torch.ones(60_000),
    "rising": lambda _: torch.arange(60_000),
    "periodic, as the sample's stride": lambda _: (torch.arange(60_000) % 15 == 0) * 5 + 1,
    "one block": lambda g: torch.cat([torch.zeros(59_000), torch.randn(1_000, generator=g)]),
}


@pytest.mark.parametrize("density", [0.001, 0.2, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("kind", LARGE)
def test_a_large_vector_gives_the_same_number_by_way_of_a_sample(kind, density, monkeypatch):
    monkeypatch.setattr(trimming, "_CHUNK", 7_000)
    vector = LARGE[kind](torch.Generator().manual_seed(3)).float()
    assert threshold(vector, density, scratch=torch.empty(60_000)) == exact(vector, density)


def test_a_normal_vector_needs_no_selection_over_all():
    vector = torch.randn(60_000, generator=torch.Generator().manual_seed(3))
    scratch = torch.full((60_000,), -1.0)
    assert threshold(vector, 0.2, scratch=scratch) == exact(vector, 0.2)
    assert bool((scratch == -1).all())


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("size", [300, 60_000])
def test_several_ranks_are_found_at_once(kind, size):
    vector = LARGE[kind](torch.Generator().manual_seed(3)).float()[:size].clone()
    ranks = [size // 6, 1, size // 6, size, 7]  # in any order, and twice
    falling = vector.abs().sort(descending=True).values
    found = magnitudes_of_rank(vector, ranks, scratch=torch.empty(size))
    assert found == [float(falling[rank - 1]) for rank in ranks]


@settings(deadline=None)
@given_that(value=st.floats(0, 2.0**100, width=32))
def test_nothing_lies_between_a_number_and_the_one_below(value):
    (below,) = just_below([value])
    assert below < value
    middle = torch.tensor((below + value) / 2, dtype=torch.float32)  # rounds to one of them
    assert float(middle) in {below, value}


def test_what_exceeds_the_number_below_zero_is_everything():
    (below,) = just_below([0.0])
    assert below < 0
    assert math.isclose(below, 0, abs_tol=1e-44)
