"""The geometry of task vectors, by hand."""

from __future__ import annotations

import pytest
import torch

from taskmark.stages import geometry as module
from taskmark.stages.geometry import geometry


def test_norms_cosines_and_conflicts_are_those_worked_out_by_hand():
    vectors = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 5.0, 0.0, -1.0], [-1.0, 0.0, 0.0, 0.0]])
    found = geometry(torch.tensor([1.0, 2.0, 2.0, 0.0]), vectors, ("a", "b", "c"))
    root = 26**0.5
    assert found.merged_norm == 3
    assert found.task_vector_norms == pytest.approx({"a": 5.0, "b": root, "c": 1.0})
    assert found.mean_cosine == pytest.approx((20 / (5 * root) + 3 / -5 + 0) / 3)
    for row, expected in zip(
        found.cosines,
        [[1, 20 / (5 * root), -3 / 5], [20 / (5 * root), 1, 0], [-3 / 5, 0, 1]],
        strict=True,
    ):
        assert row == pytest.approx(expected, abs=1e-12)
    assert found.sign_conflicts == 1 / 4


def test_many_chunks_give_what_one_gives(monkeypatch):
    vectors, merged = torch.randn(3, 50), torch.randn(50)
    whole = geometry(merged, vectors, ("a", "b", "c"))
    monkeypatch.setattr(module, "_CHUNK", 7)
    chunked = geometry(merged, vectors, ("a", "b", "c"))
    assert chunked.mean_cosine == pytest.approx(whole.mean_cosine, rel=1e-12)
    assert chunked.sign_conflicts == whole.sign_conflicts


def test_vectors_of_zeros_and_single_tasks_have_no_angle():
    alone = geometry(torch.ones(2), torch.ones(1, 2), ("a",))
    zeros = geometry(torch.zeros(2), torch.zeros(2, 2), ("a", "b"))
    assert alone.mean_cosine == zeros.mean_cosine == 0
    assert alone.cosines[0] == pytest.approx((1.0,))
    assert zeros.cosines == ((0.0, 0.0), (0.0, 0.0))
    assert zeros.task_vector_norms == {"a": 0.0, "b": 0.0}
    assert zeros.sign_conflicts == 0
