"""Muon in float32: `torch.optim.Muon` works in bfloat16, which many processors only emulate.

There a step of torch's takes twice as long as the passes forward and backward of this suite's
network; in float32 it takes a tenth of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, as Jordan et al. chose them
_ITERATIONS = 5
_MOMENTUM = 0.95
_DECAY = 0.1
_RMS = 0.2  # of AdamW's steps, which those of Muon are scaled to (Liu et al. 2025, 2502.16982)


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is made nearly orthogonal before each step (Jordan et al. 2024).

    Args:
        parameters: matrices.
        lr: learning rate, on the scale of AdamW's.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Step once."""
        del closure
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"].lerp_(matrix.grad, 1 - _MOMENTUM)
                ahead = matrix.grad.lerp(momentum, _MOMENTUM)  # as Nesterov does
                size = _RMS * math.sqrt(max(matrix.shape))
                matrix.mul_(1 - group["lr"] * _DECAY)
                matrix.add_(nearly_orthogonal(ahead), alpha=-group["lr"] * size)


def nearly_orthogonal(matrix: Tensor) -> Tensor:
    """A matrix of the same singular vectors whose singular values are all near 1."""
    a, b, c = _COEFFICIENTS
    x = matrix / (matrix.norm() + 1e-7)
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if is_tall else x
