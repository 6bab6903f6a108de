"""Print how much memory each method takes at its peak beside what it returns, in bytes, by name.

    python peak_memory.py NAME ...

A process of its own, since the system's account of memory is exact only where freed memory goes
back to the system at once: start it with MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ small.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from taskmark import Given, Head, WeightSpace, methods
from taskmark.inference.readers import Setting, reader
from taskmark.machine.costs import measure

N_TASKS = 3
WIDTH = 512
LARGEST_BYTES = 4 * 2 * WIDTH**2
N_LAYERS = 17  # so that both models are of one size
N_IMAGES = 20  # of each task and split, so that activations are small beside the weights
STEPS = {"steps": 3, "images_per_task": 4}
FIELDS = {  # more steps and images take no more memory
    "doge": {"n_steps": 1},
    "wudi": {"n_steps": 1},
    "adamerging": STEPS,
    "adamerging_task": STEPS,
    "adamerging_plus": STEPS,
    "fisher": {"n_images": 4},
    "greedy_scales": {"rounds": 1, "scales": (0.0, 0.5, 1.0)},
    "linear_probing": {"strengths": (0.1,)},
}


class Data:
    """Normal inputs, labels in turn."""

    def __init__(self, width: int) -> None:
        self._inputs = torch.randn(N_IMAGES, width, generator=torch.Generator().manual_seed(1))

    def inputs(self, _task: str, _split: str) -> torch.Tensor:
        return self._inputs

    def labels(self, _task: str, _split: str) -> torch.Tensor:
        return torch.arange(N_IMAGES) % 3


def given_with_data(width: int, n_tasks: int, track: str) -> Given:
    """Square linear layers one behind the other, which pass on what is about as large."""
    encoder = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(N_LAYERS)))
    space = WeightSpace.of(encoder)
    source = torch.Generator().manual_seed(0)
    pretrained = torch.empty(space.size).normal_(std=width**-0.5, generator=source)
    read = reader("standard", Setting(encoder, space, pretrained, torch.device("cpu"), 64))
    tasks = [f"task_{number}" for number in range(n_tasks)]
    vectors = torch.empty(n_tasks, space.size).normal_(std=0.1 * width**-0.5, generator=source)
    return Given(
        pretrained=pretrained,
        task_vectors=vectors,
        space=space,
        tasks=tasks,
        track=track,
        heads=dict.fromkeys(tasks, Head(torch.randn(3, width, generator=source), torch.zeros(3))),
        features=read.features,
        gram_matrices=read.gram_matrices,
        data=Data(width),
        gradient_budget=10 * n_tasks * N_IMAGES,
    )


def given_with(width: int, n_tasks: int, recipe: str = "standard") -> Given:
    """One matrix, and eight tensors of four dimensions that are twice as large."""
    shapes = {
        "layer.weight": (width, width),
        **{f"{number}.kernel": (width, width // 2, 2, 2) for number in range(8)},
    }
    space = WeightSpace.of({name: torch.empty(shape) for name, shape in shapes.items()})
    source = torch.Generator().manual_seed(0)
    vectors = torch.empty(n_tasks, space.size).normal_(generator=source)
    return Given.of_weights(torch.ones(space.size), vectors, space, recipe=recipe)


def extra_bytes(name: str) -> int:
    """The peak of one call above what it starts from and returns."""
    method = methods.get(name)(**FIELDS.get(name, {}))
    n_tasks = min(N_TASKS, method.n_tasks[1] or N_TASKS)
    learns = method.track != "weights"

    def given_of(width: int) -> Given:
        if learns:
            return given_with_data(width, n_tasks, method.track)
        return given_with(width, n_tasks, method.recipe)

    method.edit(given_of(12))  # what is imported and set up once is not counted
    given = given_of(WIDTH)
    with measure() as spent:
        edit = method.edit(given)
    held = [edit.vector, *edit.per_task.values(), *(mask.kept for mask in edit.masks.values())]
    own = {given.pretrained.data_ptr(), given.task_vectors.untyped_storage().data_ptr()}
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in held}
    returned = sum(memory.nbytes() for place, memory in storages.items() if place not in own)
    return spent.peak_bytes - returned


def main(*names: str) -> None:
    """Measure one after the other."""
    torch.set_num_threads(1)
    torch.linalg.svd(torch.rand(WIDTH, WIDTH, dtype=torch.float64))  # BLAS takes its buffers once
    torch.linalg.cholesky(torch.eye(WIDTH, dtype=torch.float64))
    for name in names:
        print(f"{name} {extra_bytes(name)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
