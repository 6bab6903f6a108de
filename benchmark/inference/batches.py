"""Batches of uint8 images out of memory maps, gathered ahead while others are used, on a device."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Piece: TypeAlias = tuple[Tensor, slice | Tensor]  # images [N, ...] on the CPU, which rows of them
_Share: TypeAlias = tuple[Tensor, slice | Tensor, int, int, Tensor]

_THREADS = 2  # that gather a batch; copies of memory gain little from more


def in_a_row(parts: Sequence[Tensor], batch_size: int) -> Iterator[list[Piece]]:
    """Cut several [N, ...] in a row into batches, across their borders.

    Yields:
        The pieces of a batch, in order; slices.
    """
    batch: list[Piece] = []
    room = batch_size
    for part in parts:
        start = 0
        while start < len(part):
            stop = min(start + room, len(part))
            batch.append((part, slice(start, stop)))
            room -= stop - start
            start = stop
            if not room:
                yield batch
                batch, room = [], batch_size
    if batch:
        yield batch


def on_device(images: Tensor, order: Sequence[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Iterate over the rows of images [N, ...] in an order, a batch for each index [B] of it.

    What `streamed` says of its batches holds for these.
    """
    if streams(images):
        yield from stream_batches([[(images, index)] for index in order], device)
    else:
        for index in order:
            yield images[index.to(images.device)].to(device)


def streams(images: Tensor) -> bool:
    """Whether images are read as they are needed: those of bytes, unless a device holds them."""
    return images.dtype == torch.uint8 and images.device.type == "cpu"


def stream_batches(
    batches: Sequence[Sequence[Piece]], device: torch.device, *, threads: int = _THREADS
) -> Iterator[Tensor]:
    """Iterate over batches on a device, the next of which is put together while one is used.

    Two buffers take turns, page-locked for a GPU. On a CPU the batches are these buffers: each is
    overwritten once the one after it is asked for.

    Args:
        batches: the pieces of each batch, uint8, of images of one size.
        device: where the batches go. A quarter of the bytes of floats goes there.
        threads: that put a batch together.

    Raises:
        IndexError: if a row is not one of the images.
    """
    for pieces in batches:
        _check(pieces)
    largest = max((sum(map(_n_bytes, pieces)) for pieces in batches), default=0)
    gpu = device.type == "cuda"
    buffers = [torch.empty(largest, dtype=torch.uint8, pin_memory=gpu) for _ in range(2)]
    copied = [torch.cuda.Event() for _ in buffers] if gpu else []  # type: ignore[no-untyped-call]
    with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(threads) as gatherers:

        def gather(number: int) -> Tensor:
            if gpu:
                copied[number % 2].synchronize()  # the device may still be reading
            pieces = batches[number]
            shape = pieces[0][0].shape[1:]
            flat = buffers[number % 2][: sum(map(_n_bytes, pieces))]
            batch = flat.view(-1, *shape)
            shares = _shares(pieces, batch, threads)
            for copying in [gatherers.submit(_copy, *share) for share in shares]:
                copying.result()
            return batch

        coming = ahead.submit(gather, 0) if batches else None
        for number in range(len(batches)):
            assert coming is not None  # noqa: S101 - there is a batch for each number
            batch = coming.result()
            if gpu:
                with torch.cuda.device(device):
                    batch = batch.to(device, non_blocking=True)
                    copied[number % 2].record()
            if number + 1 < len(batches):
                coming = ahead.submit(gather, number + 1)
            yield batch


def _shares(pieces: Sequence[Piece], batch: Tensor, threads: int) -> Iterator[_Share]:
    """What each thread copies of each piece: from which to which of its rows, and where to."""
    end = 0
    for images, rows in pieces:
        n = _n_rows(images, rows)
        cuts = np.linspace(0, n, threads + 1).astype(int).tolist()
        for start, stop in pairwise(cuts):
            if start < stop:
                yield images, rows, start, stop, batch[end + start : end + stop]
        end += n


def _copy(images: Tensor, rows: slice | Tensor, start: int, stop: int, out: Tensor) -> None:
    # numpy releases the interpreter's lock while it copies; `take` in another mode copies twice.
    if isinstance(rows, slice):
        np.copyto(out.numpy(), images.numpy()[rows][start:stop])
    else:
        wanted = rows[start:stop].numpy()
        np.take(images.numpy(), wanted, axis=0, out=out.numpy(), mode="clip")


def _check(pieces: Sequence[Piece]) -> None:
    for images, rows in pieces:
        if isinstance(rows, Tensor) and len(rows):
            least, most = int(rows.min()), int(rows.max())
            if not 0 <= least <= most < len(images):
                raise IndexError(f"rows from {least} to {most} of {len(images)} images")


def _n_rows(images: Tensor, rows: slice | Tensor) -> int:
    return len(rows) if isinstance(rows, Tensor) else len(range(*rows.indices(len(images))))


def _n_bytes(piece: Piece) -> int:
    images, rows = piece
    return _n_rows(images, rows) * math.prod(images.shape[1:])
