"""Gram matrices of what reaches linear layers: X^T X, gathered while a model runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from taskmark.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ROWS = 4096  # rows that are doubled in precision at once


@contextmanager
def gather_gram_matrices(
    encoder: nn.Module, parts: Sequence[str] | None = None
) -> Iterator[dict[str, Tensor]]:
    """Gather Gram matrices of the inputs of linear layers while forward passes run within.

    Args:
        encoder: the module that will run, with weights of its own or through `functional_call`.
        parts: names of the weights to gather for; all that belong to an `nn.Linear` where not said.

    Yields:
        Name of the weight -> sum over rows of x x^T, [d_in, d_in], float64, in the order in which
        the layers first run. A row is the input of the layer at one image and, where it has
        several, one token. A weight that several layers share has the sum over them.

    Raises:
        TaskmarkError: if a name is not that of the weight of an `nn.Linear`.
    """
    layers = _linear_layers(encoder)
    for name in parts or ():
        if name not in layers:
            raise unknown("weight of a linear layer", name, layers)
    wanted = layers if parts is None else {name: layers[name] for name in dict.fromkeys(parts)}
    found: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(_adding(found, name))
        for name, own in wanted.items()
        for layer in own
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _linear_layers(encoder: nn.Module) -> dict[str, list[nn.Linear]]:
    """The layers by the name of their weight, which is that of its part in the weight space."""
    names = {id(parameter): name for name, parameter in encoder.named_parameters()}
    layers: dict[str, list[nn.Linear]] = {}
    for module in encoder.modules():
        if isinstance(module, nn.Linear) and id(module.weight) in names:
            layers.setdefault(names[id(module.weight)], []).append(module)
    return layers


def _adding(found: dict[str, Tensor], name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
    def add(_layer: nn.Module, inputs: tuple[Tensor]) -> None:
        rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1])  # [n, d_in]
        width = rows.shape[-1]
        if name not in found:
            found[name] = torch.zeros(width, width, dtype=torch.float64, device=rows.device)
        for some in torch.split(rows, _ROWS):
            exact = some.double()
            found[name].addmm_(exact.T, exact)

    return add
