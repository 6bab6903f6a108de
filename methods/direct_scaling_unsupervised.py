"""Direct scaling without labels: the control of unsupervised DV-BASI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from taskmark import Method
from taskmark.methods.difference_vectors import Refinement
from taskmark.methods.dv_basi import DvBasi
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DirectScalingUnsupervised(Refinement, Method):
    """Scale a learned merge tensor by tensor, directly, on images without labels.

    `direct_scaling` with the entropy of the predictions in place of the cross-entropy: the control
    of `dv_basi_unsupervised`, with the same start, optimiser and budget.
    """

    name = "direct_scaling_unsupervised"
    paper = DvBasi.paper
    bibtex = DvBasi.bibtex
    track = "unlabelled"
    scale_range = None

    iterations: Literal[1] = 1
    epochs: int = Field(default=240, ge=1)
    patience: int = Field(default=20, ge=1)

    def merge(self, given: Given) -> Tensor:
        """Return (1 + Lambda) delta_0, or delta_0 where that is better, [P].

        Memory: three vectors [P] beside it: delta_0 and two for the gradient, see `descent`.
        """
        return self.refined(given, TaskLoss(given, labelled=False))
