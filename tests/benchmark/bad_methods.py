"""A good method, and one for every way to break the contract."""

import random

import numpy as np
import torch
from pydantic import Field, PrivateAttr

from taskmark import Edit, Head, Method


class Good(Method):
    """Add up the task vectors."""

    name = "good"

    def merge(self, given):
        return given.task_vectors.sum(0)


class Capitals(Good):
    """Bad."""

    name = "My-Method"


class Nameless(Method):
    """Bad."""


class OddTrack(Good):
    """Bad."""

    name = "bad"
    track = "test"


class OddRole(Good):
    """Bad."""

    name = "bad"
    role = "winner"


class OddRecipe(Good):
    """Bad."""

    name = "bad"
    recipe = "tangled"


class Upside(Good):
    """Bad."""

    name = "bad"
    scale_range = (1.0, 0.0)


class Endless(Good):
    """Bad."""

    name = "bad"
    scale_range = (0.0, float("inf"))


class Paperless(Good):
    """Bad."""

    name = "bad"
    paper = "Smith et al."


class Flagged(Good):
    """Bad."""

    name = "bad"
    order_matters = True


class Silent(Good):
    name = "bad"


Silent.__doc__ = None


class Demanding(Good):
    """Bad."""

    name = "bad"
    density: float


class Infinite(Good):
    """Bad."""

    name = "bad"
    limit: float = Field(default=float("inf"))


class Curious(Good):
    """Bad: looks at images on the track without data."""

    name = "bad"

    def merge(self, given):
        return given.task_vectors.sum(0) * float(given.images("apples").mean())


class Cheating(Good):
    """Bad: asks for the test split."""

    name = "bad"
    track = "labelled"

    def merge(self, given):
        return given.task_vectors.sum(0) * len(given.images("apples", "test"))


class Peeking(Good):
    """Bad: looks at labels on the track without them."""

    name = "bad"
    track = "unlabelled"

    def merge(self, given):
        return given.task_vectors.sum(0) * len(given.labels("apples"))


class Doubled(Good):
    """Bad: returns another dtype."""

    name = "bad"

    def merge(self, given):
        return given.task_vectors.double().sum(0)


class Stacked(Good):
    """Bad: returns another shape."""

    name = "bad"

    def merge(self, given):
        return given.task_vectors


class Divided(Good):
    """Bad: returns NaN."""

    name = "bad"

    def merge(self, given):
        return given.task_vectors.sum(0) / 0.0 * 0.0


class Bare(Good):
    """Bad: edit() returns a tensor."""

    name = "bad"

    def edit(self, given):
        return given.task_vectors.sum(0)


class Stranger(Good):
    """Bad: brings a head for a task that was not given."""

    name = "bad"

    def edit(self, given):
        return Edit(self.merge(given), {"dogs": Head(torch.zeros(2, 4), torch.zeros(2))})


class Crashing(Good):
    """Bad."""

    name = "bad"

    def merge(self, given):
        raise IndexError(f"list index out of range in {given.recipe}")


class Writing(Good):
    """Bad: adds up in place."""

    name = "bad"

    def merge(self, given):
        total = given.task_vectors[0]
        total += given.task_vectors[1:].sum(0)
        return total


class WritingData(Good):
    """Bad: normalises the images in place."""

    name = "bad"
    track = "unlabelled"

    def merge(self, given):
        given.images("apples").div_(2)
        return given.task_vectors.sum(0)


class Dicing(Good):
    """Bad: draws from torch's global generator."""

    name = "bad"

    def merge(self, given):
        return given.task_vectors.sum(0) * torch.rand(())


class Seeding(Good):
    """Bad: seeds the global generator, which makes it repeatable and others not random."""

    name = "bad"

    def merge(self, given):
        torch.manual_seed(0)
        return given.task_vectors.sum(0) * torch.rand(())


class NumpySeeding(Good):
    """Bad: likewise in numpy."""

    name = "bad"

    def merge(self, given):
        np.random.seed(0)  # noqa: NPY002
        return given.task_vectors.sum(0) * float(np.random.rand())  # noqa: NPY002


class PythonSeeding(Good):
    """Bad: likewise in the standard library."""

    name = "bad"

    def merge(self, given):
        random.seed(0)
        return given.task_vectors.sum(0) * random.random()


class Switching(Good):
    """Bad: computes in float64 and leaves that to all others, without gradients."""

    name = "bad"

    def merge(self, given):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return given.task_vectors.sum(0)


class Leaving(Good):
    """Bad: ends the interpreter as if all were well."""

    name = "bad"

    def merge(self, given):
        raise SystemExit(len(given.tasks) - 3)


class Turning(Good):
    """Bad: claims a direction that it drops half of."""

    name = "bad"
    keeps_direction = True

    def merge(self, given):
        total = given.task_vectors.sum(0)
        total[::2] = 0
        return total


class Unsure(Good):
    """Bad."""

    name = "bad"
    keeps_direction = "mostly"


class Backwards(Good):
    """Bad."""

    name = "bad"
    n_tasks = (3, 2)


class Normalising(Good):
    """Bad: divides by the length of every vector, also where that is zero."""

    name = "bad"

    def merge(self, given):
        vectors = given.task_vectors
        lengths = vectors.norm(dim=1, keepdim=True)
        if not vectors.any():
            return torch.zeros(vectors.shape[1])
        return (vectors / lengths).sum(0)


class Copying(Good):
    """Bad: works on a copy of all task vectors, and one more."""

    name = "bad"

    def merge(self, given):
        trimmed = given.task_vectors * (given.task_vectors.abs() > 0.1)
        return trimmed.sum(0)


class Remembering(Good):
    """Bad: counts its runs."""

    name = "bad"
    _runs: list[int] = PrivateAttr(default_factory=list)

    def merge(self, given):
        self._runs.append(1)
        return given.task_vectors.sum(0) * len(self._runs)


class Averaging(Good):
    """Bad: returns weights in place of their change."""

    name = "bad"

    def merge(self, given):
        return given.pretrained + given.task_vectors.mean(0)


class FirstWins(Good):
    """Bad: prefers the first task and does not say so."""

    name = "bad"

    def merge(self, given):
        return given.task_vectors[0].clone()


class Swapping(Good):
    """Bad: gives each task the vector of its neighbour in line."""

    name = "bad"

    def edit(self, given):
        rolled = given.task_vectors.roll(1, 0)
        return Edit(given.task_vectors.sum(0), per_task=dict(zip(given.tasks, rolled, strict=True)))


class Pairwise(Good):
    """Bad: needs two tasks."""

    name = "bad"

    def merge(self, given):
        return given.task_vectors.std(0)


class Spectral(Good):
    """Bad: takes every tensor for a matrix."""

    name = "bad"

    def merge(self, given):
        total = given.task_vectors.sum(0)
        for part in given.space:
            if len(part.shape) != 1:
                u, s, v = torch.linalg.svd(total[part.slice].view(part.shape), full_matrices=False)
                total[part.slice] = (u * s @ v).flatten()
        return total


# The method, the check that it must fail, and a word of the cure (or another).
BAD = [
    (Capitals, "name", "lower-case"),
    (Nameless, "name", "None"),
    (OddTrack, "facts", "weights, unlabelled, labelled"),
    (OddRole, "facts", "winner"),
    (OddRecipe, "facts", "tangled"),
    (Upside, "facts", "smaller first"),
    (Endless, "facts", "finite"),
    (Paperless, "facts", "address"),
    (Flagged, "facts", "reason in words"),
    (Silent, "facts", "docstring"),
    (Demanding, "defaults", "density|default"),
    (Infinite, "defaults", "JSON"),
    (Curious, "data", "declare track"),
    (Cheating, "data", "'train' or 'validation'"),
    (Peeking, "data", "declare track = 'labelled'"),
    (Doubled, "result", "float32"),
    (Stacked, "result", "shape"),
    (Divided, "result", "NaN"),
    (Bare, "result", "return a taskmark.Edit"),
    (Stranger, "result", "dogs"),
    (Crashing, "data", "IndexError: list index out of range"),
    (Writing, "inputs", "clone"),
    (WritingData, "inputs", "work on a copy"),
    (Dicing, "seed", "given.generator"),
    (Seeding, "global_randomness", "given.generator"),
    (NumpySeeding, "global_randomness", "given.generator"),
    (PythonSeeding, "global_randomness", "given.generator"),
    (Switching, "global_switches", "default dtype and torch's gradients"),
    (Leaving, "data", "SystemExit: 0"),
    (Unsure, "facts", "leave it out"),
    (Backwards, "facts", "(2, 2)"),
    (Turning, "direction", "take keeps_direction = True out"),
    (Normalising, "drawn_weights", "shapes [(1,)"),
    (Copying, "memory", "in chunks"),
    (Remembering, "second_run", "keep no state"),
    (Averaging, "zeros", "return the change"),
    (FirstWins, "order", "order_matters"),
    (Swapping, "order", "order_matters"),
    (Pairwise, "one_task", "NaN"),
    (Spectral, "odd_tensors", "linalg|size|shape"),
]
