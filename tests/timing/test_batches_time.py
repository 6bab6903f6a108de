"""The data path of real images: batches of bytes out of a memory map, for a device to normalise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from side_by_side import Copy, in_turn, note, say

from taskmark.inference.batches import in_a_row, stream_batches

pytestmark = pytest.mark.timing

N_IMAGES, BATCH = 2048, 64
SHAPE = (N_IMAGES, 3, 224, 224)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npy"
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=SHAPE)
    made[:] = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    made.flush()
    return torch.from_numpy(np.lib.format.open_memmap(path, mode="c"))


@pytest.mark.parametrize("order", ["in a row", "shuffled"])
def test_batches_of_mapped_images_beside_the_memory_floor(images, order, benchmark):
    if order == "shuffled":
        shuffled = torch.randperm(N_IMAGES, generator=torch.Generator().manual_seed(0))
        batches = [[(images, index)] for index in torch.split(shuffled, BATCH)]
    else:
        batches = list(in_a_row([images], BATCH))

    def read() -> None:
        for _ in stream_batches(batches, CPU):
            pass

    copy = Copy()
    cost, copied = in_turn(benchmark, read, copy)
    floor = copy.floor(copied, 2 * images.nbytes)
    what = f"{N_IMAGES} mapped images of 224 x 224, {order}"
    say(what, cost, floor, against="the floor of bytes read and written", target="none")
    note(
        f"    {N_IMAGES / cost.seconds:,.0f} images/s of wall clock, target at least 5,000; "
        f"{N_IMAGES / cost.cpu_seconds:,.0f} of CPU, target at least 20,000"
    )
