"""Residence: which data stays on a device because it is read more than once and fits there."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 0.25
"""Of a device's free memory that data may take; the rest is for weights and activations."""


def fits(n_bytes: int, free_bytes: int, *, share: float = SHARE) -> bool:
    """Whether data of so many bytes may stay on a device that has so many free."""
    return n_bytes <= share * free_bytes


def keep_on_device(device: torch.device, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors on the device, if it is a GPU and they fit together; else as they are."""
    if device.type != "cuda":
        return tensors
    n_bytes = sum(tensor.nbytes for tensor in tensors if tensor.device != device)
    if not fits(n_bytes, _free_bytes(device)):
        return tensors
    return tuple(tensor.to(device) for tensor in tensors)


def _free_bytes(device: torch.device) -> int:
    # What torch keeps for later use is free, too.
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept
