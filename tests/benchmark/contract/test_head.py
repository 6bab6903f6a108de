"""Heads: features to classes."""

from __future__ import annotations

import torch

from taskmark import Head


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
