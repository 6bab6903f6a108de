"""TIES against its formula, its conventions one by one, and what it reduces to."""

import naive_formulas
import pytest
import torch
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_inputs import cuts, given_rows, rows

from taskmark import Given
from taskmark.methods import chunks
from taskmark.methods.task_arithmetic import TaskArithmetic
from taskmark.methods.ties import Ties, trim

DENSITIES = st.sampled_from([0.05, 0.2, 0.5, 0.8, 1.0])
MERGES = st.sampled_from(["mean", "sum"])


def merged(tau, shapes=None, **fields):
    return Ties(**fields).merge(given_rows(tau, shapes)).tolist()


@settings(deadline=None, max_examples=200)
@given_that(tau=rows(), density=DENSITIES, merge_function=MERGES)
def test_global_ties_is_the_formula(tau, density, merge_function):
    expected = naive_formulas.ties(
        tau, [0, len(tau[0])], density=density, mean=merge_function == "mean"
    )
    found = merged(tau, density=density, merge_function=merge_function)
    assert found == pytest.approx(expected, rel=1e-6)


@settings(deadline=None, max_examples=100)
@given_that(data=st.data(), density=DENSITIES)
def test_ties_per_tensor_trims_each_tensor_by_itself(data, density):
    shapes = {"a": [2, 3], "scalar": [], "nothing": [0, 4], "one": [1], "b": [4]}
    entry = st.integers(-24, 24).map(lambda n: n / 8)
    tau = data.draw(st.lists(st.lists(entry, min_size=12, max_size=12), min_size=1, max_size=4))
    given = given_rows(tau, shapes)
    expected = naive_formulas.ties(tau, cuts(given), density=density, mean=True)
    found = Ties(density=density, scope="tensor").merge(given).tolist()
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_scopes_are_different_methods():
    tau = [[9.0, 8.0, 0.2, 0.1]]
    shapes = {"large": [2], "small": [2]}
    assert merged(tau, shapes, density=0.5) == [9.0, 8.0, 0.0, 0.0]
    assert merged(tau, shapes, density=0.5, scope="tensor") == pytest.approx([9.0, 0.0, 0.2, 0.0])


def test_the_defaults_are_the_papers():
    assert Ties().hyperparameters() == {
        "density": 0.2,
        "scope": "global",
        "merge_function": "mean",
    }
    assert Ties.scale_range == (0.0, 2.0)


def test_k_is_rounded_and_at_least_one():
    assert merged([[3.0, 2.0, 1.0]], density=0.01) == [3.0, 0.0, 0.0]
    assert merged([[3.0, 2.0, 1.0]], density=0.49) == [3.0, 0.0, 0.0]  # 1.47
    assert merged([[3.0, 2.0, 1.0]], density=0.51) == [3.0, 2.0, 0.0]  # 1.53
    assert merged([[3.0, 2.0, 1.0, 0.5, 0.25]], density=0.5) == [3.0, 2.0, 0.0, 0.0, 0.0]  # 2.5


def test_entries_equal_to_the_threshold_are_all_kept():
    assert merged([[1.0, -2.0, 2.0, 2.0]], density=0.25) == [0.0, -2.0, 2.0, 2.0]


def test_zeros_are_no_members_of_the_mean():
    assert merged([[4.0, 1.0], [0.0, 2.0], [0.0, 3.0]], density=1.0) == [4.0, 2.0]


def test_trimmed_entries_neither_vote_nor_count():
    # The two -3 are trimmed, so they do not outvote 4, and the mean is over one task.
    assert merged([[4.0, 0.0], [-3.0, 9.0], [-3.0, 9.0]], density=0.5) == [4.0, 9.0]


def test_the_sign_is_elected_by_weight_not_by_head_count():
    assert merged([[5.0], [-1.0], [-2.0]], density=1.0) == [5.0]


def test_a_sum_of_zero_elects_nothing():
    assert merged([[2.0, 1.0], [-2.0, 1.0]], density=1.0) == [0.0, 1.0]


@settings(deadline=None)
@given_that(tau=rows(max_tasks=1))
def test_one_task_at_full_density_is_that_expert(tau):
    assert merged(tau, density=1.0) == tau[0]


@settings(deadline=None)
@given_that(tau=rows())
def test_the_sum_of_what_agrees_everywhere_is_task_arithmetic(tau):
    positive = [[abs(value) for value in row] for row in tau]
    found = Ties(density=1.0, merge_function="sum").merge(given_rows(positive))
    assert torch.equal(found, TaskArithmetic().merge(given_rows(positive)))


@settings(deadline=None)
@given_that(tau=rows(), density=DENSITIES, merge_function=MERGES, order=st.randoms())
def test_order_sign_and_size_of_all_vectors_pass_through(tau, density, merge_function, order):
    fields = {"density": density, "merge_function": merge_function}
    result = merged(tau, **fields)
    shuffled = tau[:]
    order.shuffle(shuffled)
    assert merged(shuffled, **fields) == result
    negated = [[-4 * value for value in row] for row in tau]
    assert merged(negated, **fields) == [-4 * value for value in result]


def test_blocks_do_not_show(monkeypatch):
    tau = torch.randn(3, 1_000, generator=torch.Generator().manual_seed(0)).tolist()
    whole = merged(tau)
    monkeypatch.setattr(chunks, "_BLOCK", 24)  # eight entries of three tasks
    assert merged(tau) == whole


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("scope", ["global", "tensor"])
def test_vectors_on_a_gpu_are_merged_there(scope):
    tau = torch.randn(3, 1_000, generator=torch.Generator().manual_seed(0)).tolist()
    here = given_rows(tau, {"a": [20, 30], "b": [400]})
    there = Given.of_weights(here.pretrained.cuda(), here.task_vectors.cuda(), here.space)
    found = Ties(scope=scope).merge(there)
    assert found.device == there.task_vectors.device
    assert torch.allclose(found.cpu(), Ties(scope=scope).merge(here), atol=1e-6)


@pytest.mark.parametrize("fields", [{"density": 0}, {"density": 1.1}, {"scope": "row"}, {"x": 1}])
def test_fields_outside_their_range_are_refused(fields):
    with pytest.raises(ValidationError):
        Ties(**fields)


@given_that(tau=rows(), thresholds=st.lists(st.sampled_from([0, 0.125, 1.5, 9]), min_size=4))
def test_trimming_keeps_what_reaches_the_threshold_of_its_row(tau, thresholds):
    vectors = torch.tensor(tau)
    expected = [
        [value if abs(value) >= least else 0.0 for value in row]
        for row, least in zip(tau, thresholds, strict=False)
    ]
    least = thresholds[: len(tau)]
    assert trim(vectors, least, out=torch.empty_like(vectors)).tolist() == expected
    trim(vectors, least, out=vectors)
    assert vectors.tolist() == expected


@settings(deadline=None)
@given_that(tau=rows(), density=DENSITIES, merge_function=MERGES, data=st.data())
def test_weights_multiply_what_trimming_left(tau, density, merge_function, data):
    some = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
    weights = data.draw(st.lists(some, min_size=len(tau), max_size=len(tau)))
    expected = naive_formulas.ties(
        tau, [0, len(tau[0])], density=density, mean=merge_function == "mean", weights=weights
    )
    found = merged(tau, density=density, merge_function=merge_function, weights=weights)
    assert found == pytest.approx(expected, abs=1e-5)


def test_weights_are_no_part_of_a_row_that_has_none():
    assert "weights" not in Ties().hyperparameters()
