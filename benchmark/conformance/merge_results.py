"""Checks of what a method returns on the miniature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark.conformance.edits import edit_checked, edit_magnitudes, same, small_beside
from taskmark.conformance.finding import UnmetError
from taskmark.conformance.miniature import TASKS, miniature, tasks_of
from taskmark.errors import DataRefusedError

if TYPE_CHECKING:
    from taskmark.contract.method import Method

_N_DIRECTIONS = 3
_SAME_DIRECTION = 1e-5  # what rounding takes from a cosine


def data(method: type[Method]) -> str:
    """No data is asked for that the track does not allow."""
    try:
        method().edit(miniature(method))
    except DataRefusedError as error:
        raise UnmetError(f"It asks for data that it does not declare: {error}") from error
    return f"It asks for nothing that the track {method.track!r} does not allow."


def result(method: type[Method]) -> str:
    """The result has the shape, the type and the device of what was given."""
    edit_checked(method(), miniature(method))
    return "It returns float32 vectors [P] of finite numbers, on the device of what it is given."


def zeros(method: type[Method]) -> str:
    """Task vectors of zero leave the model alone."""
    given = miniature(method, zero=True)
    edit = edit_checked(method(), given)
    vectors = [edit.vector, *(vector for _, vector in edit.own_vectors())]
    # A merged model from which theta0 is taken off leaves the rounding of weights of that size.
    if not all(small_beside(vector, given.pretrained) for vector in vectors):
        largest = max(float(vector.abs().max()) for vector in vectors)
        raise UnmetError(
            f"Task vectors of zero give a merged vector with an entry of {largest:.3g}; return the "
            "change of the weights, not the weights."
        )
    return "Task vectors of zero leave the model alone."


def order(method: type[Method]) -> str:
    """The order of the tasks is irrelevant, or a reason is given."""
    if method.order_matters:
        return f"The order of the tasks may matter, and the reason is given: {method.order_matters}"
    forth = edit_checked(method(), miniature(method))
    back = edit_checked(method(), miniature(method, tasks=tasks_of(method)[::-1]))
    if not same(forth, back, terms=lambda: edit_magnitudes(method, miniature(method))):
        raise UnmetError(
            "The order of the tasks changes the result; make it irrelevant, or say in the class "
            "attribute order_matters why it cannot be."
        )
    return "The order of the tasks is irrelevant."


def one_task(method: type[Method]) -> str:
    """A single task is enough."""
    if not method.takes(1):
        return f"It states that it merges {method.n_tasks[0]} tasks or more."
    edit_checked(method(), miniature(method, tasks=tasks_of(method)[:1]))
    return "It works with a single task."


def direction(method: type[Method]) -> str:
    """One task alone gives that expert's direction, where the method claims it."""
    if not method.keeps_direction:
        return "It does not claim that one task alone gives the direction of its expert."
    for seed in range(_N_DIRECTIONS):
        given = miniature(method, tasks=TASKS[seed : seed + 1], seed=seed)
        vector, own = edit_checked(method(), given).vector, given.task_vectors[0]
        cosine = float(torch.nn.functional.cosine_similarity(vector, own, dim=0))
        if cosine < 1 - _SAME_DIRECTION:
            raise UnmetError(
                f"With one task, the merged vector has a cosine of {cosine:.4f} with its task "
                "vector, not 1; mend merge(), or take keeps_direction = True out."
            )
    return "One task alone gives the direction of its expert."


def odd_tensors(method: type[Method]) -> str:
    """Tensors may be empty, hold one element, or have many dimensions."""
    edit_checked(method(), miniature(method, odd=True))
    return "It works with tensors of any shape, also empty ones and scalars."
