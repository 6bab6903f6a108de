"""How tests read the tiny encoder, and which rows every run has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import WeightSpace
from taskmark.inference.readers import Setting

if TYPE_CHECKING:
    from torch import nn

REFERENCES = ("pretrained", "experts", "weight_averaging")


def setting_of(
    encoder: nn.Module, *, batch_size: int = 7, dtype: torch.dtype = torch.float32
) -> Setting:
    """How a reader computes on an encoder, whose own weights are theta0, in their own dtype."""
    pretrained = torch.cat([p.detach().reshape(-1) for p in encoder.parameters()]).to(dtype)
    return Setting(
        encoder, WeightSpace.of(encoder), pretrained.clone(), torch.device("cpu"), batch_size
    )
