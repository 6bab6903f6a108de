"""A model so small that a method is tried on it in milliseconds, with data that it can learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor, nn

from taskmark.contract.data_access import PermittedSplit
from taskmark.contract.given import Given
from taskmark.contract.head import Head
from taskmark.contract.recipe import get_recipe
from taskmark.contract.weights import WeightSpace
from taskmark.inference.readers import Setting, reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.contract.method import Method

TASKS = ("apples", "boats", "clouds", "dunes", "elms", "farms")
_USUAL = 3  # tasks, for a method that takes any number of them
_N_INPUTS, _WIDTH, _N_FEATURES, _N_CLASSES = 6, 5, 4, 3
_N_EXAMPLES = 40  # of each task and split
_GRADIENT_IMAGES = 1200


def miniature(
    method: type[Method],
    *,
    tasks: Sequence[str] | None = None,
    seed: int = 0,
    zero: bool = False,
    odd: bool = False,
) -> Given:
    """A Given for a method to be tried on: a real network of two layers, and data it can learn.

    The labels of a task are what its expert predicts, so that the experts are right everywhere.

    Args:
        method: for its track and recipe.
        tasks: names out of `TASKS`, in the order wanted; those of `tasks_of` unless said.
        seed: of the generator.
        zero: make all task vectors zero.
        odd: give the network an empty tensor, a scalar, one of a single element and one of four
            dimensions.
    """
    source = torch.Generator().manual_seed(20)
    encoder = _Encoder(source, odd=odd)
    space = WeightSpace.of(encoder)
    pretrained = space.flatten(dict(encoder.named_parameters()))
    setting = Setting(encoder, space, pretrained.clone(), torch.device("cpu"), batch_size=64)
    read = reader(get_recipe(method.recipe).read, setting)
    features = read.features
    tasks = tasks_of(method) if tasks is None else tuple(tasks)
    vectors, heads, data = {}, {}, {}
    for task in TASKS[: 1 + max(map(TASKS.index, tasks))]:
        vectors[task] = 0.3 * torch.randn(space.size, generator=source)
        heads[task] = Head(
            torch.randn(_N_CLASSES, _N_FEATURES, generator=source),
            torch.zeros(_N_CLASSES),
            normalise=task == TASKS[2],
        )
        for split in get_args(PermittedSplit):
            inputs = torch.randn(_N_EXAMPLES, _N_INPUTS, generator=source)
            with torch.no_grad():
                labels = heads[task].predict(features(vectors[task], inputs))
            labels[:_N_CLASSES] = torch.arange(_N_CLASSES)  # every class is seen
            data[task, split] = inputs, labels
    return Given(
        pretrained=pretrained,
        task_vectors=torch.stack([vectors[task] * (not zero) for task in tasks]),
        space=space,
        tasks=tasks,
        recipe=method.recipe,
        track=method.track,
        seed=seed,
        heads={task: heads[task] for task in tasks},
        features=features,
        gram_matrices=read.gram_matrices,
        data=MadeUpData(data),
        gradient_budget=_GRADIENT_IMAGES,
    )


def tasks_of(method: type[Method]) -> tuple[str, ...]:
    """The tasks that a method is tried on: three, or as many as it takes."""
    return TASKS[:_USUAL] if method.takes(_USUAL) else TASKS[: method.n_tasks[0]]


class _Encoder(nn.Module):
    """Inputs [B, 6] -> features [B, 4]."""

    def __init__(self, source: torch.Generator, *, odd: bool) -> None:
        super().__init__()
        self.first = _linear(source, _N_INPUTS, _WIDTH, bias=True)
        self.second = _linear(source, _WIDTH, _N_FEATURES, bias=False)
        shapes: list[tuple[int, ...]] = [(0, 3), (), (1,), (2, 1, 2, 1)] if odd else []
        self.gains = nn.ParameterList([_parameter(source, *shape) for shape in shapes])

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(inputs))
        for gain in self.gains:
            hidden = hidden * (1 + 0.1 * gain.sum())
        features: Tensor = self.second(hidden)
        return features


def _linear(source: torch.Generator, d_in: int, d_out: int, *, bias: bool) -> nn.Linear:
    layer = nn.Linear(d_in, d_out, bias=bias, device="meta")  # draws nothing
    layer.weight = _parameter(source, d_out, d_in)
    if bias:
        layer.bias = _parameter(source, d_out)
    return layer


def _parameter(source: torch.Generator, *shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=source))


class MadeUpData:
    """Inputs and labels of the miniature, kept in memory."""

    def __init__(self, data: dict[tuple[str, PermittedSplit], tuple[Tensor, Tensor]]) -> None:
        self._data = data

    def inputs(self, task: str, split: PermittedSplit) -> Tensor:
        """Inputs of the encoder, [N, 6]."""
        return self._data[task, split][0]

    def labels(self, task: str, split: PermittedSplit) -> Tensor:
        """Class indices, [N]."""
        return self._data[task, split][1]

    def tensors(self) -> list[Tensor]:
        """All inputs and labels."""
        return [tensor for pair in self._data.values() for tensor in pair]
