"""Weights of single tasks, as task arithmetic and TIES take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from taskmark import Given

TaskWeights: TypeAlias = tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None


def task_weights(weights: Sequence[float], given: Given) -> Tensor:
    """One weight a task, in the order of `given.tasks`, [T], float32.

    Raises:
        TaskmarkError: if there are not as many as tasks.
    """
    if len(weights) != len(given.tasks):
        raise TaskmarkError(
            f"There are {len(weights)} weights for {len(given.tasks)} tasks; give one a task, in "
            f"the order {', '.join(given.tasks)}."
        )
    return given.task_vectors.new_tensor(weights)
