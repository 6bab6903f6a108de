"""A check of memory: merging a large model must not take a further copy of it for every task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark.conformance.edits import edit_checked
from taskmark.conformance.finding import UnmetError
from taskmark.contract.given import Given
from taskmark.contract.head import Head
from taskmark.contract.weights import WeightSpace
from taskmark.machine.costs import measure
from taskmark.machine.out_of_memory import free_unused

if TYPE_CHECKING:
    from taskmark.contract.edit import Edit
    from taskmark.contract.method import Method

_THOUSAND, _USUAL, _LARGE = 1_000, 400_000, 100_000_000
_WIDTH = 128  # of the square matrices that such a model is made of
_N_TASKS = 8
_A_COPY = 0.9  # of all task vectors; the system's account of memory is a little rough


def memory(method: type[Method]) -> str:
    """A model of a thousand numbers and one of 400,000 are merged without a copy a task."""
    return _of_size(method, _USUAL, width=_WIDTH)


def large(method: type[Method]) -> str:
    """The same for a hundred million numbers; some methods take minutes for it, and 5 GB."""
    return _of_size(method, _LARGE, width=4 * _WIDTH)


def _of_size(method: type[Method], size: int, *, width: int) -> str:
    if method.track != "weights":
        return "It learns from data, so its memory is that of its passes, and is not judged here."
    most = method.n_tasks[1]
    n_tasks = _N_TASKS if most is None else min(_N_TASKS, most)
    # The small one comes first, so that what is imported and set up once is not counted.
    edit_checked(method(), _given(_THOUSAND, n_tasks, width=8, recipe=method.recipe))
    given = _given(size, n_tasks, width=width, recipe=method.recipe)
    free_unused()  # or what is allocated may be memory that this process has already
    with measure() as spent:
        edit = method().edit(given)
    returned = _returned_bytes(edit)
    extra = max(0, spent.peak_bytes - returned)
    copies = extra / given.task_vectors.nbytes
    if copies > _A_COPY:
        raise UnmetError(
            f"Merging {n_tasks} task vectors of {given.space.size:,} numbers takes {copies:.1f} "
            "times their memory beside the result; walk given.space, or work in chunks."
        )
    return (
        f"Merging {n_tasks} task vectors of {given.space.size:,} numbers takes {copies:.2f} times "
        "their memory beside the result."
    )


def _given(size: int, n_tasks: int, *, width: int, recipe: str) -> Given:
    shapes = [(width, width), (width,)] * max(1, size // (width * width + width))
    space = WeightSpace.of({f"part_{i}": torch.empty(shape) for i, shape in enumerate(shapes)})
    source = torch.Generator().manual_seed(0)
    names = [f"task_{i}" for i in range(n_tasks)]
    return Given(
        pretrained=torch.randn(space.size, generator=source),
        task_vectors=torch.randn(n_tasks, space.size, generator=source),
        space=space,
        tasks=names,
        recipe=recipe,
        heads=dict.fromkeys(names, Head(torch.ones(1, 1), torch.zeros(1))),
    )


def _returned_bytes(edit: Edit) -> int:
    masks = (mask.kept for mask in edit.masks.values())
    held = [edit.vector, *edit.per_task.values(), *masks]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in held}
    return sum(storage.nbytes() for storage in storages.values())
