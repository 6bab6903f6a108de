"""Gram matrices of layer inputs: beside plain products, what is refused, what is counted."""

from __future__ import annotations

import pytest
import torch
from given_samples import SPACE, Data
from tiny_setting import setting_of
from torch import nn
from torch.func import functional_call

from taskmark import Given
from taskmark.errors import DataRefusedError, TaskmarkError
from taskmark.inference.gram import gather_gram_matrices
from taskmark.inference.readers import reader


def _vector(setting):
    source = torch.Generator().manual_seed(5)
    return 0.3 * torch.randn(setting.space.size, generator=source, dtype=torch.float64)


@pytest.mark.parametrize("batch_size", [3, 100])
def test_they_are_the_products_of_what_reaches_each_layer(encoder, inputs, batch_size):
    setting = setting_of(encoder, dtype=torch.float64, batch_size=batch_size)
    vector = _vector(setting)
    state = setting.space.unflatten(setting.pretrained + vector)
    hidden = inputs @ state["first.weight"].T + state["first.bias"]
    normed = nn.functional.layer_norm(hidden, (16,), state["norm.weight"], state["norm.bias"])
    reached = {"first.weight": inputs, "second.weight": torch.relu(normed)}
    found = reader("standard", setting).gram_matrices(vector, inputs, None)
    assert list(found) == ["first.weight", "second.weight"]  # in the order in which they run
    for name, rows in reached.items():
        assert found[name].dtype == torch.float64
        assert torch.allclose(found[name], rows.T @ rows, rtol=1e-10, atol=1e-10)


def test_all_tokens_of_all_images_are_rows():
    layer = nn.Linear(3, 2)
    tokens = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    with gather_gram_matrices(layer) as found:
        layer(tokens[:1])
        layer(tokens[1:])
    rows = tokens.reshape(-1, 3).double()
    assert torch.allclose(found["weight"], rows.T @ rows)


def test_more_rows_than_are_handled_at_once_are_all_there():
    layer = nn.Linear(1, 1)
    with gather_gram_matrices(layer) as found:
        layer(torch.full((10_001, 1), 2.0))
    assert found["weight"].tolist() == [[4.0 * 10_001]]


def test_a_weight_that_two_layers_share_has_the_sum_of_both():
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    pair = nn.Sequential(first, second)
    weight, inputs = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    with gather_gram_matrices(pair) as found:
        functional_call(pair, {"0.weight": weight}, (inputs,))
    # (1, 1) reaches the first, W (1, 1) = (3, 1) the second.
    assert found["0.weight"].tolist() == [[1.0 + 9.0, 1.0 + 3.0], [1.0 + 3.0, 1.0 + 1.0]]
    assert list(found) == ["0.weight"]


def test_only_what_was_asked_for_is_gathered_and_no_hook_stays(encoder, inputs):
    setting = setting_of(encoder, dtype=torch.float64)
    read = reader("standard", setting)
    found = read.gram_matrices(_vector(setting), inputs, ["second.weight"])
    assert list(found) == ["second.weight"]
    assert not any(module._forward_pre_hooks for module in encoder.modules())


def test_no_hook_stays_after_an_error(encoder):
    setting = setting_of(encoder, dtype=torch.float64)
    with pytest.raises(RuntimeError):
        reader("standard", setting).gram_matrices(_vector(setting), torch.zeros(2, 3), None)
    assert not any(module._forward_pre_hooks for module in encoder.modules())


def test_a_part_that_is_no_linear_weight_is_refused_by_name(encoder, inputs):
    setting = setting_of(encoder, dtype=torch.float64)
    with pytest.raises(TaskmarkError, match=r"no weight of a linear layer 'first\.bias'; did you"):
        reader("standard", setting).gram_matrices(_vector(setting), inputs, ["first.bias"])


def test_a_linearised_model_refuses(encoder, inputs):
    setting = setting_of(encoder, dtype=torch.float64)
    with pytest.raises(TaskmarkError, match="run the method under the recipe 'standard'"):
        reader("tangent", setting).gram_matrices(_vector(setting), inputs, None)


def _given(track, gram_matrices):
    return Given(
        pretrained=torch.zeros(4),
        task_vectors=torch.ones(2, 4),
        space=SPACE,
        tasks=("hills", "lakes"),
        track=track,
        gram_matrices=gram_matrices,
        data=Data(),
    )


@pytest.mark.parametrize("track", ["unlabelled", "labelled"])
def test_they_are_handed_out_and_the_passes_are_counted(track):
    given = _given(track, lambda _vector, inputs, parts: {"a": inputs.T @ inputs, "for": parts})
    found = given.gram_matrices(torch.zeros(4), torch.ones(5, 3), ["a"])
    assert found["a"].tolist() == [[5.0] * 3] * 3
    assert found["for"] == ["a"]
    assert (given.forward_images, given.gradient_images) == (5, 0)


def test_the_weights_track_and_weights_alone_refuse():
    for given, words in (
        (_given("weights", lambda *_: {}), "track 'weights' does not allow Gram"),
        (Given.of_weights(torch.zeros(4), torch.ones(1, 4), SPACE), "weights alone"),
    ):
        with pytest.raises(DataRefusedError, match=words):
            given.gram_matrices(torch.zeros(4), torch.ones(5, 3))
        assert given.forward_images == 0
