"""How an evaluation passes images through an encoder: how many at once, and how precisely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch

from taskmark.machine.costs import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHARE = 0.25
"""Of a GPU's memory that one pass may take; images, weights and other processes have the rest."""

MOST = 1024
"""Images that a pass takes at most: such passes are so long that more of them gain nothing."""


@dataclass(frozen=True, slots=True)
class Passes:
    """How the forward passes of an evaluation are made.

    Attributes:
        batch_size: images at once.
        dtype: of products of matrices; the rest is float32.
    """

    batch_size: int
    dtype: torch.dtype = torch.float32

    @property
    def dtype_name(self) -> str:
        """The dtype as a record says it, such as "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def facts(self) -> dict[str, int | str]:
        """JSON values to be stored."""
        return {"batch_size": self.batch_size, "dtype": self.dtype_name}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Read `facts` back."""
        return cls(int(facts["batch_size"]), getattr(torch, str(facts["dtype"])))


def largest_batch_size(batch_size: int, *, peak_bytes: int, total_bytes: int) -> int:
    """How many images to pass at once, from what a pass of the protocol's batch takes.

    Args:
        batch_size: the protocol's.
        peak_bytes: that a pass of so many images held at its worst, beside what was there before.
        total_bytes: memory of the device. All of it and not what is free, so that a model of GPU
            always has the same batches, whatever else runs on it.

    Returns:
        The largest batch_size * 2^k, k >= 0, which is no more than `MOST` and takes no more than
        `SHARE` of the memory, where memory grows with the batch. Where that says of no k >= 1 that
        it fits, batch_size.
    """
    batch = batch_size
    while 0 < 2 * batch * peak_bytes <= SHARE * total_bytes * batch_size and 2 * batch <= MOST:
        batch *= 2
    return batch


def measure_batch_size(
    batch_size: int, one_pass: Callable[[int], object], *, total_bytes: int
) -> int:
    """How many images to pass at once on a GPU, by one pass of the protocol's batch.

    Args:
        batch_size: the protocol's.
        one_pass: passes so many images through the encoder on the device.
        total_bytes: memory of the device.
    """
    one_pass(1)  # what libraries allocate when they first run stays, and is no part of a pass
    with measure() as spent:
        one_pass(batch_size)
    return largest_batch_size(
        batch_size, peak_bytes=spent.device_peak_bytes or 0, total_bytes=total_bytes
    )


def total_bytes(device: torch.device) -> int | None:
    """The memory of a GPU; None of a CPU."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """What a GPU computes fastest in that has float32's range; None where that is float32 itself.

    GPUs from before 2020 have bfloat16 in emulation alone, which is slow.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return None
