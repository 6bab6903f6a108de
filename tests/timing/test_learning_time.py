"""Methods that run the model, beside the passes that they cannot do without.

On the network of the suite mini, with random weights and inputs: eight tasks of 256 images. The
floor is the same images through the same network in the same batches, forward or also backward, and
for RegMean the Gram matrices of its layers in float64; what a method adds is sampling, combining
vectors and solving.
"""

from __future__ import annotations

import pytest
import torch
from side_by_side import in_turn, note, say

import taskmark.methods
from taskmark import Given, Head, WeightSpace
from taskmark.readers import Setting, reader
from taskmark.suites.mini.architecture import build

pytestmark = pytest.mark.timing

N_TASKS, N_IMAGES, N_CLASSES = 8, 256, 15
BUDGET = N_TASKS * N_IMAGES
MEGABYTE = 2**20
LAYERS = 2 * (128, 128, 128, 512)  # inputs of each linear layer of the two blocks

# Fields that make a call short, images a batch of its passes, whether they go backward, and how
# often all images pass; then what it should cost at most.
CASES = {
    "regmean": ({}, 64, False, 1, "at most 2 x"),
    "regmean_plus": ({}, 64, False, 2, "at most 3 x"),
    "fisher": ({"n_images": 32}, 1, True, 1 / 8, "at most 1.5 x"),
    "adamerging": ({"steps": 64}, 32, True, 1, "at most 1.5 x"),
    "adamerging_task": ({"steps": 64}, 32, True, 1, "at most 1.5 x"),
    "adamerging_plus": ({"steps": 64}, 32, True, 1, "at most 1.5 x"),
    "greedy_scales": ({"rounds": 1, "n_images": 8}, 64, False, 81 / 32, "at most 1.5 x"),
    "atlas": ({"epochs": 1}, 64, True, 1, "at most 2 x"),
}


class Data:
    """Random tokens; labels in turn."""

    def __init__(self) -> None:
        source = torch.Generator().manual_seed(1)
        self._tokens = torch.randn(N_IMAGES, 16, 128, generator=source)

    def inputs(self, _task: str, _split: str) -> torch.Tensor:
        return self._tokens

    def labels(self, _task: str, _split: str) -> torch.Tensor:
        return torch.arange(N_IMAGES) % N_CLASSES


def given_for(track: str) -> Given:
    encoder = build()[1]
    space = WeightSpace.of(encoder)
    pretrained = space.flatten(dict(encoder.named_parameters()))
    setting = Setting(encoder, space, pretrained, torch.device("cpu"), batch_size=64)
    read = reader("standard", setting)
    source = torch.Generator().manual_seed(0)
    tasks = [f"task_{i}" for i in range(N_TASKS)]
    return Given(
        pretrained=pretrained,
        task_vectors=0.01 * torch.randn(N_TASKS, space.size, generator=source),
        space=space,
        tasks=tasks,
        track=track,
        heads={
            task: Head(torch.randn(N_CLASSES, 128, generator=source), torch.zeros(N_CLASSES))
            for task in tasks
        },
        features=read.features,
        gram_matrices=read.gram_matrices,
        data=Data(),
        gradient_budget=BUDGET,
    )


def passes(given: Given, batch: int, *, backward: bool, times: float, grams: bool) -> None:
    rows = [torch.randn(16 * batch, width) for width in LAYERS]
    tokens = given.images(given.tasks[0])[:1].expand(batch, -1, -1)
    vector = given.task_vectors[0].clone().requires_grad_(backward)
    with torch.set_grad_enabled(backward):
        for _ in range(round(times * BUDGET / batch)):
            features = given.features(vector, tokens)
            for inputs in rows if grams else ():
                exact = inputs.double()
                exact.T @ exact
            if backward:
                torch.autograd.grad(features.sum(), vector)


@pytest.mark.parametrize("name", CASES)
def test_learning_beside_its_passes(name, benchmark):
    fields, batch, backward, times, target = CASES[name]
    method = taskmark.methods.get(name)(**fields)
    grams = name == "regmean"  # RegMean++ gathers those of a block in each of its passes
    more = {"backward": backward, "times": times, "grams": grams}
    cost, floor = in_turn(
        benchmark,
        lambda: method.merge(given_for(method.track)),
        lambda: passes(given_for("labelled"), batch, **more),
        rounds=3,
    )
    say(f"{name}, {N_TASKS} tasks", cost, floor, against="its passes", target=target)
    note(f"    {cost.peak_bytes / MEGABYTE:.1f} MiB beside the {N_TASKS + 1} vectors")
