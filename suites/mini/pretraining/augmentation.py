"""Random views of images, for the contrastive scheme."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random view: crop, turn, other colours, gray, noise; uint8 in, float 0..255 out."""
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    scale = uniform(0.7, 1.0)
    turn = uniform(-0.25, 0.25)
    shift_x, shift_y = (1 - scale) * uniform(-1, 1), (1 - scale) * uniform(-1, 1)
    rows = torch.stack(
        [
            torch.stack([scale * turn.cos(), -scale * turn.sin(), shift_x], -1),
            torch.stack([scale * turn.sin(), scale * turn.cos(), shift_y], -1),
        ],
        1,
    )  # [B, 2, 3]
    grid = affine_grid(rows, [n, 3, 32, 32], align_corners=False)
    view = grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)
    # Else a pair is found by its colours alone.
    channels = torch.rand(n, 3, generator=generator).argsort(1)[:, :, None, None]
    swapped = view.gather(1, channels.expand_as(view))
    view = torch.where(uniform(0, 1, 1, 1, 1) < 0.5, swapped, view)  # noqa: PLR2004
    gray = view.mean(1, keepdim=True)
    kept = (uniform(0, 1, 1, 1, 1) > 0.15).float() * uniform(0.5, 1.2, 1, 1, 1)  # noqa: PLR2004
    view = gray + kept * (view - gray)
    view = (view - 127.5) * uniform(0.6, 1.3, 3, 1, 1) + 127.5 + uniform(-40, 40, 3, 1, 1)
    noise = torch.randn(view.shape, generator=generator) * uniform(0, 12, 1, 1, 1)
    return (view + noise).clamp(0, 255)
