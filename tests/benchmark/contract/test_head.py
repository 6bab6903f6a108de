"""Heads: features to classes."""

from __future__ import annotations

import itertools

import pytest
import torch

from taskmark import Head
from taskmark.contract.head import Choices, Exact, read_head
from taskmark.errors import DoesNotApplyError


def test_logits_are_affine_in_the_features():
    head = Head(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([0.5, 0.0]))
    assert head.logits(torch.tensor([[3.0, 4.0]])).tolist() == [[11.5, -4.0]]


def test_a_normalising_head_ignores_the_length_of_features():
    head = Head(torch.tensor([[3.0, 4.0]]), torch.zeros(1), normalise=True)
    features = torch.tensor([[3.0, 4.0], [30.0, 40.0]])
    assert torch.allclose(head.logits(features), torch.tensor([[5.0], [5.0]]))


def test_of_equal_logits_the_first_class_wins():
    head = Head(torch.zeros(4, 2), torch.tensor([0.0, 1.0, 1.0, 1.0]))
    assert head.predict(torch.randn(5, 2)).tolist() == [1] * 5


def test_moving_a_head_keeps_all_it_holds():
    head = Head(torch.randn(3, 2), torch.randn(3), normalise=True)
    moved = head.to("cpu")
    assert torch.equal(moved.weight, head.weight)
    assert torch.equal(moved.bias, head.bias)
    assert moved.normalise


def test_the_size_counts_weight_and_bias():
    assert Head(torch.zeros(3, 5), torch.zeros(3)).size == 18


def exact_lines():
    """Logits [2, 4, 3] that write 1 2 0 and 1 0 0 from place 1 on, and the answers 1 2 of both."""
    logits = torch.zeros(2, 4, 3)
    for row, written in enumerate(([1, 2, 0], [1, 0, 0])):
        for place, token in enumerate(written):
            logits[row, place, token] = 5.0
    return logits, torch.tensor([[-100, 1, 2, -100]] * 2)


def test_an_exact_answer_is_right_if_each_of_its_tokens_has_the_largest_logit():
    logits, targets = exact_lines()
    answers = Exact().predict(logits, targets)
    assert (answers == Exact().gold(targets)).tolist() == [True, False]


def test_exact_answers_that_differ_have_unlike_numbers_and_equal_ones_the_same():
    targets = torch.tensor([[-100, *row] for row in itertools.product(range(4), repeat=3)])
    assert len(set(Exact().gold(targets).tolist())) == 64
    shorter = torch.tensor([[-100, 1, 2, -100], [-100, 1, 2, 0], [-100, -100, 1, 2]])
    assert len(set(Exact().gold(shorter).tolist())) == 3


def test_what_is_written_after_the_first_wrong_token_does_not_count():
    logits, targets = exact_lines()
    targets = torch.tensor([[-100, 0, 2, 0]] * 2)  # both write 1 first
    first, second = Exact().predict(logits, targets)
    assert first == second


def test_the_loss_of_exact_answers_is_the_cross_entropy_of_their_tokens_alone():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 3, generator=generator)
    targets = torch.tensor([[-100, 1, 2, -100], [-100, -100, 0, -100]])
    log_p = logits.log_softmax(-1)
    told = -(log_p[0, 0, 1] + log_p[0, 1, 2] + log_p[1, 1, 0]) / 3
    torch.testing.assert_close(Exact().loss(logits, targets), told)


@pytest.mark.parametrize("head", [Choices(), Exact()])
def test_heads_without_classes_are_stored_and_say_that_what_needs_classes_does_not_apply(head):
    assert read_head(*head.stored()) == head
    for name in ("logits", "weight", "bias"):
        assert not hasattr(head, name)
        with pytest.raises(DoesNotApplyError, match=f"needs the {name} of a linear head"):
            getattr(head, name)
    with pytest.raises(AttributeError, match="other"):
        _ = head.other
