"""Every method on ViT-B/32, beside what it cannot do without, in one table.

The floor of a method on weights alone is to read all task vectors once and to write the result;
what it must decompose, sort or draw beside that stands in the files of its family. The floor of a
method that needs data is its own passes, done again with nothing between them: the same images in
the same batches, forward, and backward where it asked for gradients, and the Gram matrices that it
asked for. What it adds is sampling, combining vectors and solving; solving and combining cost the
same whatever the number of images, which are few here.

Memory is the largest rise while it runs, its result included, in vectors [P]; beside it that of the
floor, with its activations.

`-k tsv_m` measures one, and `--size 87500000` all tensors. With less, methods on weights alone get
as many tensors, from the first on, as the size takes; those that need data as many blocks, one at
least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import timm
import torch
from passes import Passes
from side_by_side import N_TASKS, Copy, in_turn, note

import taskmark.methods
from taskmark import Given, Head, WeightSpace
from taskmark.inference.readers import Setting, reader
from taskmark.plugins.registry import built_in

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timing

BUILT_IN = [found.method for found in built_in()]
ON_WEIGHTS = [method.name for method in BUILT_IN if method.track == "weights"]
WITH_DATA = [method.name for method in BUILT_IN if method.track != "weights"]
HEADS = {"hierarchical_ot": {"heads": 12}}
MODEL, N_BLOCKS = "vit_base_patch32_224", 12
N_IMAGES = {"train": 16, "validation": 5}  # of each task; of the five, one is held out
N_CLASSES = 5
STEPS = {"steps": 2, "images_per_task": 4}
START = {"start_epochs": 1, "batch_size": 4 * N_TASKS}
LOOP = START | {"epochs": 1, "iterations": 2}
FIELDS = {  # a few steps are as good as many
    "adamerging": STEPS,
    "adamerging_task": STEPS,
    "adamerging_plus": STEPS,
    "atlas": {"epochs": 2, "batch_size": 4 * N_TASKS},
    "direct_scaling": START | {"epochs": 2},
    "direct_scaling_unsupervised": START | {"epochs": 2},
    "dv_basi": LOOP,
    "dv_basi_unsupervised": LOOP,
    "dv_basi_single_task": {"epochs": 1, "iterations": 2, "batch_size": 4},
    "dv_basi_start": START | {"start_epochs": 2},
    "fisher": {"n_images": 2},
    "greedy_scales": {"rounds": 1, "n_images": 4, "scales": (0.0, 0.5, 1.0)},
    "linear_probing": {"strengths": (0.1,)},
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; memory in vectors [P]."""

    name: str
    task_vectors: str
    floor: str
    ratio: float
    cpu_seconds: float
    peak: float
    floor_peak: float

    def __str__(self) -> str:
        return (
            f"| {self.name:27} | {self.task_vectors:10} | {self.floor:6} | {self.ratio:7.2f} "
            f"| {self.cpu_seconds:9.3f} | {self.peak:6.2f} | {self.floor_peak:6.2f} |"
        )


HEADER = (
    f"| {'method':27} | vectors    | floor  | x floor |     CPU s |   peak | floor's |",
    f"|{'-' * 29}|{'-' * 12}|{'-' * 8}|{'-' * 9}|{'-' * 11}|{'-' * 8}|{'-' * 9}|",
)


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    for line in (*HEADER, *rows):
        note(str(line))


@pytest.fixture(scope="module")
def given(size) -> Given:
    with torch.device("meta"):
        model = timm.create_model(MODEL, num_classes=0)
    shapes, total = {}, 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if total > size and shapes:
            break
        shapes[name] = parameter
    space = WeightSpace.of(shapes)
    return Given.of_weights(*drawn(space.size), space)


def drawn(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pre-trained weights [P] and task vectors [T, P]."""
    generator = torch.Generator().manual_seed(0)
    pretrained = torch.empty(size).normal_(std=0.05, generator=generator)
    return pretrained, torch.empty(N_TASKS, size).normal_(std=5e-4, generator=generator)


@pytest.mark.parametrize("name", ON_WEIGHTS)
def test_a_method_beside_its_bytes(name, given, benchmark, table):
    method, copy = taskmark.methods.get(name)(**HEADS.get(name, {})), Copy()
    n_tasks = min(N_TASKS, method.n_tasks[1] or N_TASKS)
    copy()  # its memory is there from then on
    vectors = given.task_vectors[:n_tasks]
    few = Given.of_weights(given.pretrained, vectors, given.space, recipe=method.recipe)
    # No rehearsal: the longest take minutes, and the others are measured in their own files.
    cost, copied = in_turn(benchmark, lambda: method.edit(few), copy, rounds=1, rehearse=False)
    n_bytes = given.space.size * 4
    floor = copy.floor(copied, (n_tasks + 1) * n_bytes)
    ratio, peak = cost.cpu_seconds / floor.cpu_seconds, cost.peak_bytes / n_bytes
    add(table, Row(name, millions(few), "bytes", ratio, cost.cpu_seconds, peak, 0.0))


class Data:
    """Random images; labels in turn."""

    def __init__(self) -> None:
        source = torch.Generator().manual_seed(1)
        self._images = torch.randn(max(N_IMAGES.values()), 3, 224, 224, generator=source)

    def inputs(self, _task: str, split: str) -> torch.Tensor:
        return self._images[: N_IMAGES[split]]

    def labels(self, _task: str, split: str) -> torch.Tensor:
        return torch.arange(N_IMAGES[split]) % N_CLASSES


@pytest.fixture(scope="module")
def with_data(size) -> Given:
    """As many blocks of the model as the size takes."""
    encoder = timm.create_model(MODEL, num_classes=0, depth=1)
    own = sum(parameter.numel() for parameter in encoder.blocks.parameters())
    rest = sum(parameter.numel() for parameter in encoder.parameters()) - own
    depth = min(N_BLOCKS, max(1, (size - rest) // own))
    encoder = timm.create_model(MODEL, num_classes=0, depth=depth)
    space = WeightSpace.of(encoder)
    pretrained, vectors = drawn(space.size)
    setting = Setting(encoder, space, pretrained, torch.device("cpu"), batch_size=64)
    read = reader("standard", setting)
    source = torch.Generator().manual_seed(2)
    tasks = [f"task_{number}" for number in range(N_TASKS)]
    return Given(
        pretrained=pretrained,
        task_vectors=vectors,
        space=space,
        tasks=tasks,
        track="labelled",
        heads={
            task: Head(
                torch.randn(N_CLASSES, encoder.num_features, generator=source),
                torch.zeros(N_CLASSES),
            )
            for task in tasks
        },
        features=read.features,
        gram_matrices=read.gram_matrices,
        data=Data(),
        gradient_budget=10**9,
    )


@pytest.mark.parametrize("name", WITH_DATA)
def test_a_method_beside_its_passes(name, with_data, benchmark, table):
    method = taskmark.methods.get(name)(**FIELDS.get(name, {}))
    with pytest.MonkeyPatch.context() as patch:
        passes = Passes(with_data, patch)
        method.edit(with_data)  # a rehearsal, of which the passes are noted
    cost, floor = in_turn(
        benchmark, lambda: method.edit(with_data), passes.again, rounds=1, rehearse=False
    )
    n_bytes = with_data.space.size * 4
    ratio, peaks = cost.cpu_seconds / floor.cpu_seconds, (cost.peak_bytes, floor.peak_bytes)
    peak, floor_peak = (peak / n_bytes for peak in peaks)
    row = Row(name, millions(with_data), "passes", ratio, cost.cpu_seconds, peak, floor_peak)
    add(table, row)


def millions(given: Given) -> str:
    """How many task vectors of how many numbers."""
    return f"{len(given.tasks)} x {given.space.size / 1e6:.1f} M"


def add(table: list[Row], row: Row) -> None:
    """Say it at once, and once more with all others."""
    note(str(row))
    table.append(row)
