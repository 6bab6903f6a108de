"""Task-wise AdaMerging: a coefficient a task, learned without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark import Method
from taskmark.methods.adamerging import AdaMerging
from taskmark.methods.adaptation import Adaptation

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class AdaMergingTask(Adaptation, Method):
    """Learn a coefficient for every task by the entropy of the predictions.

    Yang et al., ICLR 2024, task-wise AdaMerging: theta = theta0 + sum_t c[t] tau_t. Conventions are
    those of `adamerging`, which has a coefficient for each parameter tensor.
    """

    name = "adamerging_task"
    paper = AdaMerging.paper
    bibtex = AdaMerging.bibtex
    track = "unlabelled"
    scale_range = None

    def merge(self, given: Given) -> Tensor:
        """Return sum_t c[t] tau_t, [P]; memory: two vectors [P] beside it, see `descent`."""
        return self.adapted(given, given.task_vectors, "scalar")
