"""The real suites at toy length: their own tasks and backbones, few images, tiny networks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dataset_fixtures
import numpy as np
import tomli_w
from PIL import Image

from taskmark.suite.suite_file import load
from taskmark.suites.real.data import tasks
from taskmark.suites.real.data.data_lock import read_lock
from taskmark.suites.real.data.public_data_sets import definition

if TYPE_CHECKING:
    from pathlib import Path

N_ROWS = {"train": 40, "test": 12}
COLOURS = ((215, 40, 45), (40, 200, 60), (50, 60, 210))
SHORT = {"learning_rate": 4e-3, "warmup": 2, "batch_size": 16}


@dataclass(frozen=True)
class Data:
    """Where the data sets lie."""

    lock: Path
    arrays: Path

    def environment(self) -> dict[str, str]:
        """What a process must find to use them."""
        return {"TASKMARK_DATA": str(self.arrays), "TASKMARK_DATA_LOCK": str(self.lock)}


def coloured(data, seed):
    """Replaces images by squares whose colour tells the label, one of two or three."""
    rng = np.random.default_rng(seed)
    n_labels = min(data.n_classes, len(COLOURS))

    def replace(_split, row, _encoded, _label):
        label = row % n_labels
        side = data.native_size or 48
        pixels = np.array(COLOURS[label]) + rng.integers(-40, 40, (side, side, 3))
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        with io.BytesIO() as stream:
            image.save(stream, "jpeg" if data.format == "tar" else "png")
            return stream.getvalue(), label

    return replace


def make_data(where: Path, names, monkeypatch) -> Data:
    """Data sets in the hub's formats, fetched and decoded as a user has it done."""
    for split, n_rows in N_ROWS.items():
        monkeypatch.setitem(dataset_fixtures.N_ROWS, split, n_rows)
    place = dataset_fixtures.place_of(where, names)
    locks = read_lock(place.lock)
    for seed, name in enumerate(names):
        data = definition(name)
        made = dataset_fixtures.make(data, seed=seed, corrupt=coloured(data, seed))
        dataset_fixtures.fill(place.cache, data.repository, made.files)
        tasks.obtain(name, locks[name], place)
    return Data(place.lock, place.arrays)


def shortened(suite: str, where: Path) -> Path:
    """A file that extends a shipped suite, "name-version", and makes it short."""
    name, _, version = suite.rpartition("-")
    tasks = load(f"{name}@{version}").tasks
    table = {
        "extends": suite,
        "name": f"{name}-toy",
        "version": version,
        "summary": f"{name} at toy length",
        "tasks": {task: {"epochs": 4} for task in tasks},
        "protocol": {
            "trials": 3,
            "gradient_images": 2 * 8 * len(tasks),  # two steps of the learning methods
            "probe_strengths": [0.01],
            "batch_size": 64,
            "standard": SHORT,
            "tangent": SHORT,
            "disentanglement": {"alphas": [0.0, 1.0], "n_images": 4},
            "localisation": {"n_images": 4, "n_directions": 2},
        },
    }
    path = where / f"{name}-toy-{version}.toml"
    path.write_text(tomli_w.dumps(table), "utf-8")
    return path
