"""What the AdaMerging methods share: coefficients that make predictions certain, without labels."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, Field

from taskmark.methods.coefficient_learning import descent
from taskmark.methods.coefficients import combine, groups
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given
    from taskmark.methods.coefficients import Directions, Granularity


class Adaptation(BaseModel):
    """Hyper-parameters of coefficients that are adapted to images without labels.

    Attributes:
        initial: where every coefficient starts.
        learning_rate: of Adam, constant, without weight decay.
        steps: how many are taken, or as many as the suite's budget of gradient images allows at one
            image of each task a step.
        images_per_task: of each task in a step, or fewer where the budget is short: the number of
            steps is kept before the size of a step's batch, since under Adam it is what bounds how
            far a coefficient can go.
    """

    initial: float = Field(default=0.3, allow_inf_nan=False)
    learning_rate: float = Field(default=1e-3, gt=0)
    steps: int = Field(default=500, ge=0)
    images_per_task: int = Field(default=16, ge=1)

    def adapted(self, given: Given, directions: Directions, granularity: Granularity) -> Tensor:
        """Minimise the sum over tasks of the entropy of the predictions on validation images.

        Args:
            given: runs the model; its budget of gradient images bounds the steps.
            directions: what has coefficients, one row a task, [T, P].
            granularity: one coefficient a task and parameter tensor, or one a task.

        Returns:
            sum_t c[t, i] d_t after the last step, [P].
        """
        loss = TaskLoss(given, labelled=False, hold_out=False)
        slices = groups(given.space, granularity)
        coefficients = torch.full(
            (len(given.tasks), len(slices)), self.initial, device=given.task_vectors.device
        )
        budget = given.gradient_images_left // loss.n_tasks  # images of each task
        per_task = min(self.images_per_task, max(1, budget // max(1, self.steps)))
        n_steps = min(self.steps, budget // per_task)
        optimiser = torch.optim.Adam([coefficients], lr=self.learning_rate)
        batches = islice(loss.batches(per_task), n_steps)
        for _ in descent(loss, batches, coefficients, optimiser, directions, slices, base=0):
            pass
        return combine(coefficients, directions, slices)
