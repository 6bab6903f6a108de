"""Print how much memory each method takes at its peak beside what it returns, in bytes, by name.

    python peak_memory.py NAME ...

A process of its own, since the system's account of memory is exact only where freed memory goes
back to the system at once: start it with MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ small.
"""

from __future__ import annotations

import sys

import torch

from taskmark import Given, WeightSpace, methods
from taskmark.costs import measured

N_TASKS = 3
WIDTH = 512
LARGEST_BYTES = 4 * 2 * WIDTH**2
FIELDS = {"doge": {"n_steps": 1}, "wudi": {"n_steps": 1}}  # more steps take no more memory


def given_with(width: int, n_tasks: int) -> Given:
    """One matrix, and eight tensors of four dimensions that are twice as large."""
    shapes = {
        "layer.weight": (width, width),
        **{f"{number}.kernel": (width, width // 2, 2, 2) for number in range(8)},
    }
    space = WeightSpace.of({name: torch.empty(shape) for name, shape in shapes.items()})
    source = torch.Generator().manual_seed(0)
    vectors = torch.empty(n_tasks, space.size).normal_(generator=source)
    return Given.of_weights(torch.ones(space.size), vectors, space)


def extra_bytes(name: str) -> int:
    """The peak of one call above what it starts from and returns."""
    method = methods.get(name)(**FIELDS.get(name, {}))
    n_tasks = min(N_TASKS, method.n_tasks[1] or N_TASKS)
    method.edit(given_with(12, n_tasks))  # what is imported and set up once is not counted
    given = given_with(WIDTH, n_tasks)
    with measured() as spent:
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
    for name in names:
        print(f"{name} {extra_bytes(name)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
