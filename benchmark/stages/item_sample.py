"""Picking some images of a split, for measures that do not look at all of them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark.suite.protocol import Pick


def sample_items(n_images: int, wanted: int, pick: Pick, *, task: str) -> slice | Tensor:
    """The rows of a split that are looked at.

    Args:
        n_images: of the split.
        wanted: how many are looked at; all if there are no more.
        pick: which; "drawn" draws without replacement, from the name of the task alone, so that
            splits of one size are not drawn alike.
        task: its name.

    Returns:
        A slice, or indices [wanted] in the order in which they were drawn.
    """
    if pick == "first" or wanted >= n_images:
        return slice(wanted)
    generator = torch.Generator().manual_seed(zlib.crc32(task.encode()))
    return torch.randperm(n_images, generator=generator)[:wanted]
