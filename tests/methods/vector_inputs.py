"""The Given that a conformance vector describes: weights alone, or a network with data."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from small_inputs import given_rows
from torch import nn

from taskmark import Given, Head, Method, WeightSpace
from taskmark.inference.readers import Setting, reader

if TYPE_CHECKING:
    from torch import Tensor

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Data:
    """Inputs and labels as the field `data` has them."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def inputs(self, task: str, split: str) -> Tensor:
        return torch.tensor(self._data[task][split]["inputs"], dtype=torch.float32)

    def labels(self, task: str, split: str) -> Tensor:
        return torch.tensor(self._data[task][split]["labels"])


def given_of(case: dict[str, Any], method: type[Method]) -> Given:
    """What a method is handed."""
    if "network" not in case:
        given = given_rows(case["task_vectors"], case["shapes"], recipe=method.recipe)
        given.precision = case.get("precision", given.precision)
        given.pretrained = torch.tensor(case.get("pretrained", given.pretrained.tolist()))
        return given
    encoder = network(case)
    space = WeightSpace.of(encoder)
    assert {part.name: list(part.shape) for part in space} == case["shapes"]
    evenly = torch.linspace(-1, 1, space.size).tolist()
    pretrained = torch.tensor(case.get("pretrained", evenly), dtype=torch.float32)
    vectors = torch.tensor(case["task_vectors"], dtype=torch.float32)
    setting = Setting(encoder, space, pretrained, torch.device("cpu"), batch_size=64)
    read = reader("standard", setting)
    heads = {
        task: Head(
            torch.tensor(head["weight"], dtype=torch.float32),
            torch.tensor(head["bias"], dtype=torch.float32),
        )
        for task, head in case.get("heads", {}).items()
    }
    return Given(
        pretrained=pretrained,
        task_vectors=vectors,
        space=space,
        tasks=[f"task_{i}" for i in range(1, len(vectors) + 1)],
        track=method.track,
        heads=heads,
        features=read.features,
        gram_matrices=read.gram_matrices,
        data=Data(case["data"]),
        gradient_budget=case.get("gradient_images", 0),
    )


def network(case: dict[str, Any]) -> nn.Sequential:
    """The layers of the field `network`, whose weights are named as there."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for number, layer in enumerate(case["network"]):
        d_out, d_in = case["shapes"][layer["weight"]]
        linear = nn.Linear(d_in, d_out, bias="bias" in layer)
        modules[layer["weight"].removesuffix(".weight")] = linear
        if "activation" in layer:
            modules[f"activation_{number}"] = ACTIVATIONS[layer["activation"]]()
    return nn.Sequential(modules)
