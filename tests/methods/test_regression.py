"""The closed form of RegMean: beside its formula, by hand, and where it is not unique."""

import naive_learning
import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from taskmark.conformance import miniature
from taskmark.methods.regmean import NormalEquations, RegMean, samples, shrink


def solved(weights, inputs, alpha):
    """Weights [d_out, d_in], inputs [n, d_in]."""
    equations = NormalEquations(alpha)
    for weight, rows in zip(weights, inputs, strict=True):
        equations.add(weight, rows.double().T @ rows.double())
    return equations.solve()


def drawn(seed, *, n_tasks=3, n_rows=9, d_in=4, d_out=3):
    source = torch.Generator().manual_seed(seed)
    weights = torch.randn(n_tasks, d_out, d_in, generator=source)
    return weights, torch.randn(n_tasks, n_rows, d_in, generator=source)


@settings(max_examples=25, deadline=None)
@for_all(st.integers(0, 1000), st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_it_is_the_papers_formula(seed, alpha):
    weights, inputs = drawn(seed)
    expected = naive_learning.regmean([w.T for w in weights], inputs, alpha).T
    assert torch.allclose(solved(weights, inputs, alpha), expected, rtol=1e-8, atol=1e-8)


def test_by_hand_the_larger_input_decides():
    # One input of size 1 in the first task and 3 in the second: (1 * 10 + 9 * 20) / (1 + 9) = 19.
    weights = torch.tensor([[[10.0]], [[20.0]]])
    inputs = torch.tensor([[[1.0]], [[3.0]]])
    assert solved(weights, inputs, 0.95).tolist() == [[19.0]]


def test_without_its_off_diagonals_each_input_is_averaged_by_its_own_energy():
    weights = torch.tensor([[[8.0, 1.0]], [[0.0, 5.0]]])
    inputs = torch.tensor([[[1.0, 1.0]], [[1.0, 3.0**0.5]]])
    # Energies 1 and 1 of the first input, 1 and 3 of the second.
    assert torch.allclose(
        solved(weights, inputs, 0.0), torch.tensor([[4.0, 4.0]], dtype=torch.float64)
    )


def test_it_minimises_the_sum_of_the_squared_differences_of_outputs():
    weights, inputs = drawn(1)
    best = solved(weights, inputs, 1.0)

    def loss(merged):
        pairs = zip(weights.double(), inputs.double(), strict=True)
        return sum((rows @ (merged - weight).T).square().sum() for weight, rows in pairs)

    source = torch.Generator().manual_seed(2)
    for _ in range(20):
        other = best + 0.01 * torch.randn(best.shape, generator=source, dtype=torch.float64)
        assert loss(best) < loss(other)


@settings(max_examples=25, deadline=None)
@for_all(st.integers(0, 1000))
def test_with_equal_inputs_it_is_the_average(seed):
    weights, inputs = drawn(seed)
    found = solved(weights, inputs[:1].expand(3, -1, -1), 0.95)
    assert torch.allclose(found, weights.double().mean(0), atol=1e-9)


def test_an_input_that_never_comes_keeps_the_average():
    weights, inputs = drawn(3)
    inputs[:, :, 2] = 0
    found = solved(weights, inputs, 0.95)
    assert torch.allclose(found[:, 2], weights[:, :, 2].double().mean(0), atol=1e-12)
    kept = [0, 1, 3]
    expected = solved(weights[:, :, kept], inputs[:, :, kept], 0.95)
    assert torch.allclose(found[:, kept], expected, atol=1e-9)


def test_of_several_minimisers_it_takes_the_one_nearest_to_the_average():
    weights = torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]])
    inputs = torch.tensor([[[1.0, 1.0]], [[1.0, 1.0]]])  # only the sum of both inputs is seen
    assert torch.allclose(
        solved(weights, inputs, 1.0), torch.tensor([[2.0, 0.0]], dtype=torch.float64), atol=1e-9
    )
    # Other inputs: energies 1 and 4 ask for the sum (1 + 4 * 3) / 5 = 2.6, 0.3 above each average.
    found = solved(weights, torch.tensor([[[1.0, 1.0]], [[2.0, 2.0]]]), 1.0)
    assert torch.allclose(found, torch.tensor([[2.3, 0.3]], dtype=torch.float64), atol=1e-9)


def test_nothing_at_all_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        NormalEquations(0.95).solve()


def test_shrinking_leaves_the_diagonal():
    gram = torch.tensor([[4.0, 2.0], [2.0, 6.0]])
    shrink(gram, 0.5)
    assert gram.tolist() == [[4.0, 1.0], [1.0, 6.0]]


def test_what_was_added_is_used_up():
    equations = NormalEquations(0.95)
    equations.add(torch.ones(1, 2), torch.eye(2, dtype=torch.float64))
    assert equations.solve().tolist() == [[1.0, 1.0]]
    with pytest.raises(ValueError, match="nothing"):
        equations.solve()


def test_samples_are_train_images_without_repetition_and_by_name_of_the_task():
    forth = samples(miniature(RegMean), 7)
    back = samples(miniature(RegMean, tasks=("clouds", "boats", "apples")), 7)
    for task, images in forth.items():
        assert torch.equal(images, back[task])
        assert len(images.unique(dim=0)) == 7
    given = miniature(RegMean)
    assert {len(images) for images in samples(given, 10**6).values()} == {40}
    assert {key.split("/")[1] for key in given.touched} == {"train"}


@pytest.mark.parametrize("d_in", [3, 8, 64])
def test_inputs_that_depend_on_each_other_up_to_rounding_have_several_minimisers(d_in):
    # What a norm puts out adds up to zero, and rounding to float32 hides it a little.
    source = torch.Generator().manual_seed(d_in)
    weights = torch.randn(2, 5, d_in, generator=source)
    rows = torch.randn(2, 200, d_in, generator=source, dtype=torch.float64)
    rows -= rows.mean(-1, keepdim=True)
    weighted = sum(w.double() @ x.T @ x for w, x in zip(weights, rows, strict=True))
    overlap = sum(x.T @ x for x in rows)
    mean = weights.double().mean(0)
    inverse = torch.linalg.pinv(overlap, rtol=1e-9, hermitian=True)
    nearest = mean + (weighted - mean @ overlap) @ inverse
    assert torch.allclose(solved(weights, rows.float(), 1.0), nearest, atol=1e-4)
