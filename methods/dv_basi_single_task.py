"""DV-BASI on single experts: each task vector refined along itself, on its own task."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import torch

from taskmark import Edit, Method
from taskmark.methods.difference_vectors import Loop
from taskmark.methods.dv_basi import DvBasi
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DvBasiSingleTask(Loop, Method):
    """Refine each expert along its own difference vectors, on its labelled validation images.

    Wang et al., AAAI 2026, the single-task refinement: the loop of `dv_basi` that starts at the
    expert, theta_0 = theta_pre + tau_t, and minimises the cross-entropy of task t alone. The best
    of theta_0 .. theta_M on the images held out is kept, so an expert stays where nothing gains.

    It merges nothing: each task has a model of its own, as with `experts`, and the storage is
    counted. Where the task is unknown, the model is the pre-trained one. Each task has an equal
    share of the suite's budget.
    """

    name = "dv_basi_single_task"
    paper = DvBasi.paper
    bibtex = DvBasi.bibtex
    track = "labelled"
    scale_range = None

    def edit(self, given: Given) -> Edit:
        """Return a refined vector [P] for each task.

        Memory: three vectors [P] beside them: the last delta_m and two for the gradient, see
        `descent`.
        """
        vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
        refined: dict[str, Tensor] = {}
        for task in sorted(vectors):
            share = given.gradient_images_left // (len(vectors) - len(refined))
            refined[task] = self._refined(given, task, vectors[task], share)
        return Edit(vector=torch.zeros_like(given.pretrained), per_task=refined)

    def _refined(self, given: Given, task: str, vector: Tensor, budget: int) -> Tensor:
        loss = TaskLoss(given, labelled=True, tasks=[task])
        stays = [(loss.held_out(vector), vector)]
        results = self.iterates(given, loss, vector, budget=budget)
        moves = ((result.held_out_loss, result.vector) for result in results)
        return min(chain(stays, moves), key=lambda pair: pair[0])[1]
