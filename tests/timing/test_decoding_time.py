"""Decoding a data set for the first time, beside a loop that does nothing but decode its images."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import count

import dataset_fixtures
import numpy as np
import pytest
from PIL import Image
from side_by_side import in_turn, note, say

from taskmark.suites.real.data import tasks
from taskmark.suites.real.data.data_lock import read_lock
from taskmark.suites.real.data.decoding import centre
from taskmark.suites.real.data.public_data_sets import definition

pytestmark = pytest.mark.timing

TASK, SIZE = "dtd", 224
N_ROWS = {"train": 450, "test": 150}
PIXELS = (480, 360)  # as photographs of the field's data sets have them


def photograph(split, row, _encoded, label):
    """A JPEG file with the detail of a photograph."""
    rng = np.random.default_rng([row, split == "test"])
    coarse = Image.fromarray(rng.integers(0, 256, (45, 60, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize(PIXELS, Image.Resampling.BICUBIC)).astype(int)
    noisy = (pixels + rng.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)
    with io.BytesIO() as stream:
        Image.fromarray(noisy).save(stream, "jpeg", quality=90)
        return stream.getvalue(), label


def test_decoding_beside_a_bare_loop(tmp_path, monkeypatch, benchmark):
    for split, n_rows in N_ROWS.items():
        monkeypatch.setitem(dataset_fixtures.N_ROWS, split, n_rows)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(dataset_fixtures, "ROWS_A_GROUP", 100)
    data = definition(TASK)
    made = dataset_fixtures.make(data, names=list(data.words) or None, corrupt=photograph)
    place = dataset_fixtures.place_of(tmp_path, [TASK])
    dataset_fixtures.fill(place.cache, data.repository, made.files)
    lock, numbers = read_lock(place.lock)[TASK], count()

    def decode() -> None:
        anew = replace(place, arrays=tmp_path / f"{next(numbers)}")
        tasks.obtain(TASK, lock, anew, size=SIZE)

    def bare() -> None:
        n_images = sum(N_ROWS.values())
        decoded = np.empty((n_images, SIZE, SIZE, 3), np.uint8)
        every = (encoded for of_split in made.images.values() for encoded in of_split)
        for row, encoded in enumerate(every):
            with Image.open(io.BytesIO(encoded)) as opened:
                decoded[row] = np.asarray(centre(opened.convert("RGB"), SIZE))

    cost, loop = in_turn(benchmark, decode, bare, rounds=3)
    what = f"{sum(N_ROWS.values())} images of {PIXELS[0]} x {PIXELS[1]} to {SIZE}, checked, hashed"
    say(what, cost, loop, against="a loop of Pillow's calls alone", target="at most 1.2 x")
    note(f"    {sum(N_ROWS.values()) / cost.cpu_seconds:,.0f} images a second of CPU")
