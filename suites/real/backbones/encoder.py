"""The encoder of a real suite: pixels as they are stored to features, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from taskmark.suites.real.data.resize import resize

if TYPE_CHECKING:
    from taskmark.suites.real.backbones.public_backbones import Channels

_WHITE = 255.0


class TowerEncoder(nn.Module):
    """An image tower that resizes, scales and normalises by itself.

    Mean and deviation are buffers that no state dict holds, so all that can be edited is the tower.

    Args:
        tower: normalised pixels [B, 3, S, S] -> features [B, D].
        resolution: S.
        mean: by channel, of pixels in [0, 1].
        std: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, tower: nn.Module, *, resolution: int, mean: Channels, std: Channels) -> None:
        super().__init__()
        self.tower = tower
        self.resolution = resolution
        for name, values in (("mean", mean), ("std", std)):
            buffer = torch.tensor(values).view(3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Pixels 0..255, [B, 3, any S, any S] -> features [B, D]."""
        pixels = resize(images, self.resolution).to(self.mean.dtype)
        return cast("Tensor", self.tower((pixels / _WHITE - self.mean) / self.std))
