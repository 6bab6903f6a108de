"""RegMean and RegMean++ on a small network: the formula, the averages, the passes of inputs."""

import naive_learning
import pytest
import torch
from pydantic import ValidationError

from taskmark.conformance import miniature
from taskmark.contract.weights import WeightSpace
from taskmark.methods.regmean import RegMean, RegMeanPlus, block_of, samples

METHODS = (RegMean, RegMeanPlus)


def layers(given, vector):
    """The weights of the miniature's two layers, and the bias, at theta0 + vector."""
    return given.space.unflatten(given.pretrained + vector)


def hidden(given, vector, images):
    weights = layers(given, vector)
    return torch.tanh(images @ weights["first.weight"].T + weights["first.bias"])


def merged_by(method, **fields):
    return method(**fields).merge(miniature(method))


def test_regmean_fits_each_layer_to_the_inputs_that_its_experts_have():
    given = miniature(RegMean)
    merged = layers(given, merged_by(RegMean, n_images=30))
    images = samples(miniature(RegMean), 30)
    vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
    for name, rows_of in (
        ("first.weight", lambda task: images[task]),
        ("second.weight", lambda task: hidden(given, vectors[task], images[task])),
    ):
        tasks = sorted(images)
        expected = naive_learning.regmean(
            [layers(given, vectors[task])[name].T for task in tasks],
            [rows_of(task) for task in tasks],
            0.95,
        ).T
        assert torch.allclose(merged[name].double(), expected, atol=1e-5)


def test_regmean_plus_fits_the_second_layer_to_what_the_merged_first_puts_out():
    given = miniature(RegMeanPlus)
    merged = layers(given, merged_by(RegMeanPlus, n_images=30))
    simple = layers(given, merged_by(RegMean, n_images=30))
    assert torch.allclose(merged["first.weight"], simple["first.weight"], atol=1e-6)
    images = samples(miniature(RegMeanPlus), 30)
    vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
    tasks = sorted(images)
    rows = {  # what the merged first layer and the averaged bias put out
        task: torch.tanh(images[task] @ merged["first.weight"].T + merged["first.bias"])
        for task in tasks
    }
    expected = naive_learning.regmean(
        [layers(given, vectors[task])["second.weight"].T for task in tasks],
        [rows[task] for task in tasks],
        0.95,
    ).T
    assert torch.allclose(merged["second.weight"].double(), expected, atol=1e-5)
    assert not torch.allclose(merged["second.weight"], simple["second.weight"], atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_linear_weight_is_averaged(method):
    given = miniature(method, odd=True)
    merged = given.space.unflatten(method().merge(given))
    mean = given.space.unflatten(given.task_vectors.mean(0))
    linear = {"first.weight", "second.weight"}
    for name, tensor in merged.items():
        if name not in linear:
            assert torch.equal(tensor, mean[name])
    assert not torch.allclose(merged["second.weight"], mean["second.weight"], atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_one_task_is_its_expert(method):
    given = miniature(method, tasks=("boats",))
    assert torch.allclose(method().merge(given), given.task_vectors[0], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_equal_experts_are_kept(method):
    given = miniature(method)
    given.task_vectors = given.task_vectors[:1].expand(3, -1)
    assert torch.allclose(method().merge(given), given.task_vectors[0], atol=1e-5)


def test_the_merge_is_linear_in_what_is_merged_where_the_inputs_are_the_same():
    # The first layer sees the images themselves, whatever the vector.
    given, doubled = miniature(RegMean), miniature(RegMean)
    doubled.task_vectors = 2 * doubled.task_vectors
    one, two = (g.space.unflatten(RegMean().merge(g)) for g in (given, doubled))
    assert torch.allclose(two["first.weight"], 2 * one["first.weight"], atol=1e-5)


def test_the_passes_are_counted():
    given = miniature(RegMean)
    RegMean(n_images=10).merge(given)
    assert (given.forward_images, given.gradient_images) == (3 * 10, 0)
    given = miniature(RegMeanPlus)
    RegMeanPlus(n_images=10).merge(given)
    assert given.forward_images == 1 + 2 * 3 * 10  # a look at the layers, then two blocks


def test_blocks_are_named_up_to_their_first_number():
    assert block_of("blocks.0.mlp.fc1.weight") == "blocks.0"
    assert block_of("visual.transformer.resblocks.11.mlp.c_fc.weight") == (
        "visual.transformer.resblocks.11"
    )
    assert block_of("norm.weight") == "norm"
    assert block_of("weight") == ""


def test_layers_of_one_block_see_their_own_expert_inside_it():
    given = miniature(RegMeanPlus)
    names = {"first.weight": "b.0.first", "first.bias": "b.0.bias", "second.weight": "b.0.second"}
    own = given._gram_matrices
    back = {new: old for old, new in names.items()}
    given.space = WeightSpace.of(
        {names[part.name]: torch.zeros(part.shape) for part in given.space}
    )
    given._gram_matrices = lambda vector, inputs, parts: {
        names[name]: gram
        for name, gram in own(
            vector, inputs, None if parts is None else [back[p] for p in parts]
        ).items()
    }
    # One block alone has nothing merged before it: it is RegMean.
    assert torch.allclose(RegMeanPlus().merge(given), merged_by(RegMean), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fields", [{"alpha": 1.01}, {"alpha": -0.1}, {"n_images": 0}])
def test_values_that_cannot_be_are_refused(method, fields):
    with pytest.raises(ValidationError):
        method(**fields)


@pytest.mark.parametrize("method", METHODS)
def test_the_facts(method):
    assert method().hyperparameters() == {"n_images": 256, "alpha": 0.95}
    assert (method.track, method.scale_range) == ("unlabelled", None)
