"""Picking some images of a split, for measures that do not look at all of them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

if TYPE_CHECKING:
    from torch import Tensor

Pick: TypeAlias = Literal["first", "drawn"]
"""Which images: the first of a split whose order is random, or some that are drawn from it, as a
split takes that may be sorted by class, of whose classes the first images show only a few."""


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
