"""Masks that say which entries of a merged vector matter to a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def localise(vectors: Tensor, merged: Tensor, strictness: float) -> Tensor:
    """TALL masks: where a task's entry is no smaller than what merging does to it, as 0.0 and 1.0.

    m_t = 1[|theta_t - theta0| >= lambda |theta_MTL - theta_t|] (Wang et al. 2024), where
    theta_t - theta0 = tau_t and theta_MTL - theta_t = tau_MTL - tau_t.

    Args:
        vectors: task vectors, [T, n].
        merged: tau_MTL, [n].
        strictness: lambda; the larger, the fewer entries.

    Returns:
        [T, n], float32, since comparisons and sums of floats run on vector instructions.
    """
    moved = (merged - vectors).abs_().mul_(strictness)
    return torch.ge(vectors.abs(), moved, out=moved)
