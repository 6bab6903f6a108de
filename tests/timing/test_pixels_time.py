"""The data path of real images: cached uint8 to normalised floats."""

from __future__ import annotations

import numpy as np
import pytest
from side_by_side import Copy, in_turn, note, say

from taskmark.pixels import Normalisation, normalised_batches

pytestmark = pytest.mark.timing

N_IMAGES, BATCH = 512, 64
SHAPE = (N_IMAGES, 3, 224, 224)
BYTES_PER_VALUE = 1 + 4  # read as uint8, written as float32


def test_the_data_path_beside_the_memory_floor(tmp_path, benchmark):
    cached = np.lib.format.open_memmap(
        tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=SHAPE
    )
    cached[:] = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    cached.flush()
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    normalisation = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

    def read() -> None:
        for _ in normalised_batches(images, normalisation, batch_size=BATCH):
            pass

    copy = Copy()
    cost, copied = in_turn(benchmark, read, copy)
    floor = copy.floor(copied, images.size * BYTES_PER_VALUE)
    what = f"{N_IMAGES} cached images of 224 x 224, normalised"
    say(what, cost, floor, against="the floor of bytes read and written", target="none")
    note(
        f"    {N_IMAGES / cost.cpu_seconds:,.0f} images/s of CPU, "
        f"{N_IMAGES / cost.seconds:,.0f} of wall clock; target at least 20,000"
    )
