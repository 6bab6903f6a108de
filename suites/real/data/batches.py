"""Batches of uint8 images out of memory maps, one buffer after the other, for a device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def batches(
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    *,
    batch_size: int,
    threads: int = 2,
    pin: bool = False,
) -> Iterator[torch.Tensor]:
    """Iterate over images in any order, [B, 3, S, S] uint8 each.

    Two buffers take turns: the next batch is gathered while one is used, and a batch is overwritten
    once the next one is asked for. A quarter of the bytes of floats goes to the device, which
    resizes and normalises.

    Args:
        images: [N, 3, S, S]; a memory map, of which the rows of a batch are read.
        rows: which, and in which order, [n].
        batch_size: B; the last batch may be smaller.
        threads: that gather a batch together.
        pin: whether the buffers are page-locked, for fast copies to a GPU.

    Raises:
        IndexError: if a row is not one of the images.
    """
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(images)):
        raise IndexError(f"rows from {rows.min()} to {rows.max()} of {len(images)} images")
    starts = range(0, len(rows), batch_size)
    shape = (min(batch_size, len(rows)), *images.shape[1:])
    buffers = [torch.empty(shape, dtype=torch.uint8, pin_memory=pin) for _ in range(2)]
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(threads) as gatherers:

        def gather(number: int) -> torch.Tensor:
            wanted = rows[starts[number] : starts[number] + batch_size]
            batch = buffers[number % 2][: len(wanted)]
            cuts = np.linspace(0, len(wanted), threads + 1).astype(int)

            def copy(part: int) -> None:
                there = slice(cuts[part], cuts[part + 1])
                # `take` releases the interpreter's lock; with another mode it would copy twice.
                np.take(images, wanted[there], axis=0, out=batch.numpy()[there], mode="clip")

            list(gatherers.map(copy, range(threads)))
            return batch

        coming = ahead.submit(gather, 0) if starts else None
        for number in range(len(starts)):
            assert coming is not None  # noqa: S101 - there is a batch for each start
            batch = coming.result()
            if number + 1 < len(starts):
                coming = ahead.submit(gather, number + 1)
            yield batch
