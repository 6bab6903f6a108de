"""Pre-training of mini-language: it resumes in the same bits, and its optimiser is Muon."""

from __future__ import annotations

import pytest
import torch

from taskmark.suites.mini_language.pretraining import __main__ as pretraining
from taskmark.suites.mini_language.pretraining.muon import Muon, nearly_orthogonal

pytest.importorskip("transformers", reason="needs the extra `language`")


class StoppedError(Exception):
    """What ends a training in the middle."""


def test_an_interrupted_training_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "EVERY", 1)
    monkeypatch.setattr(pretraining, "LINES", 8)
    course = pretraining.Course(seed=5, steps=4, hard=0.5)

    def stop(done, _loss):
        if done == 3:
            raise StoppedError

    whole = pretraining.train(course, 4, tmp_path / "whole.safetensors", lambda *_: None)
    with pytest.raises(StoppedError):
        pretraining.train(course, 4, tmp_path / "parts.safetensors", stop)
    resumed = pretraining.train(course, 4, tmp_path / "parts.safetensors", lambda *_: None)
    start = pretraining.make_llama(5).state_dict()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
        assert not torch.equal(tensor, start[name]), name


def test_the_rate_rises_stays_and_falls_to_nothing():
    rates = [pretraining.schedule(step, 640) for step in range(640)]
    assert rates[0] == 0.01
    assert set(rates[99:490]) == {1.0}
    assert rates[-1] == 1 / pretraining.ANNEALING
    assert rates[489:] == sorted(rates[489:], reverse=True)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_an_orthogonalised_matrix_keeps_its_directions_and_has_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = nearly_orthogonal(matrix)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.3
    assert values.max() < 1.3
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ found @ vt.T  # diagonal, if the singular vectors are the same
    torch.testing.assert_close(inner, torch.diag(inner.diagonal()), atol=1e-4, rtol=0)


def test_muon_steps_against_the_gradient_by_the_size_of_steps_of_adamw():
    weight = torch.nn.Parameter(torch.zeros(8, 8))
    optimiser = Muon([weight], lr=0.1)
    weight.grad = torch.eye(8)
    optimiser.step()
    step = weight.detach().diagonal()
    assert (step < 0).all()
    torch.testing.assert_close(weight.detach(), torch.diag(step))
    rms = float(weight.detach().square().mean().sqrt())
    assert 0.1 * 0.2 * 0.6 < rms < 0.1 * 0.2 * 1.3
