"""Every method on weights alone, on the tensors of ViT-B/32: its time over the bytes it must touch.

The floor is that of reading all task vectors once and writing the result; what a method must
decompose, sort or draw beside that stands in the files of its family. `-k tsv_m` measures one, and
`--size 87500000` all tensors; with less, as many of them, from the first on, as the size takes.
"""

from __future__ import annotations

import pytest
import timm
import torch
from side_by_side import N_TASKS, Copy, in_turn, note

import taskmark.methods
from taskmark import Given, WeightSpace
from taskmark.registry import built_in

pytestmark = pytest.mark.timing

NAMES = [found.method.name for found in built_in() if found.method.track == "weights"]
HEADS = {"hierarchical_ot": {"heads": 12}}


@pytest.fixture(scope="module")
def given(size) -> Given:
    with torch.device("meta"):
        model = timm.create_model("vit_base_patch32_224", num_classes=0)
    shapes, total = {}, 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if total > size and shapes:
            break
        shapes[name] = parameter
    space = WeightSpace.of(shapes)
    generator = torch.Generator().manual_seed(0)
    pretrained = torch.empty(space.size).normal_(std=0.05, generator=generator)
    vectors = torch.empty(N_TASKS, space.size).normal_(std=5e-4, generator=generator)
    return Given.of_weights(pretrained, vectors, space)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_beside_its_bytes(name, given, benchmark):
    method, copy = taskmark.methods.get(name)(**HEADS.get(name, {})), Copy()
    n_tasks = min(N_TASKS, method.n_tasks[1] or N_TASKS)
    copy()  # its memory is there from then on
    few = Given.of_weights(given.pretrained, given.task_vectors[:n_tasks], given.space)
    # No rehearsal: the longest take minutes, and the others are measured in their own files.
    cost, copied = in_turn(benchmark, lambda: method.edit(few), copy, rounds=1, rehearse=False)
    n_bytes = given.space.size * 4
    floor = copy.floor(copied, (n_tasks + 1) * n_bytes)
    note(
        f"{name:24} {n_tasks} x {given.space.size / 1e6:.1f} M: {cost.cpu_seconds:9.3f} s CPU, "
        f"{cost.cpu_seconds / floor.cpu_seconds:8.1f} x the bytes; "
        f"peak {cost.peak_bytes / n_bytes:.2f} of one vector, its result included"
    )
