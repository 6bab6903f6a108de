"""Memory for results: fresh tensors that cost as few page faults as the system allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor


def empty(*shape: int, device: torch.device | str = "cpu") -> Tensor:
    """An uninitialised float32 tensor, contiguous.

    On the CPU numpy allocates it, because numpy asks the system for large pages (where it has them)
    and torch does not. A merge that memory bounds spends half of its time on page faults otherwise.

    Args:
        shape: the lengths of its dimensions.
        device: where it lies.
    """
    if torch.device(device).type != "cpu":
        return torch.empty(shape, dtype=torch.float32, device=device)
    return torch.from_numpy(np.empty(shape, dtype=np.float32))
