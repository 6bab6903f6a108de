"""The linearised model: f(x; theta0) + J(x) v, exact, for any number of scales at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.contract.weights import WeightSpace


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Use attention kernels that have a forward derivative.

    The fused kernels and the fast path of nn.MultiheadAttention have none, on CPU and on CUDA.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def value_and_tangent(
    encoder: nn.Module, space: WeightSpace, pretrained: Tensor, vector: Tensor, inputs: Tensor
) -> tuple[Tensor, Tensor]:
    """Features at theta0 and their directional derivative along a task vector.

    f_lin(x; theta0 + s v) = f(x; theta0) + s J(x) v, so these two tensors give the linearised
    model at every scale s (Ortiz-Jimenez et al. 2023, section 3).

    Args:
        encoder: the module; its own parameters are not used.
        space: the layout of the vectors.
        pretrained: theta0, [P].
        vector: v, [P]; gradients flow into it.
        inputs: [B, ...].

    Returns:
        f(x; theta0) and J(x) v, each [B, D].
    """

    def at(state: dict[str, Tensor]) -> Tensor:
        features: Tensor = functional_call(encoder, state, (inputs,))
        return features

    with differentiable_attention():
        pair = jvp(at, (space.views(pretrained),), (space.views(vector),))
    return pair[0], pair[1]
