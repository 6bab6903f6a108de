"""Direct scaling: the controls of DV-BASI, one learned scale a parameter tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from taskmark import Method
from taskmark.methods.difference_vectors import Refinement
from taskmark.methods.dv_basi import DvBasi
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Edit, Given


class DirectScaling(Refinement, Method):
    """Scale a learned merge tensor by tensor, directly, on labelled validation images.

    The control of `dv_basi`, whose result is theta_pre + prod_m (1 + Lambda_m) delta_0 and so lies
    among the per-tensor scalings of its start delta_0. Here that scale, 1 + Lambda, is learned in
    one go from the same start, by the same optimiser and from the same initial value, with the
    whole remaining budget: DV-BASI with M = 1, where an iteration may take as many epochs, and wait
    as long, as the four of DV-BASI together. What DV-BASI gains over it is owed to following
    difference vectors.
    """

    name = "direct_scaling"
    paper = DvBasi.paper
    bibtex = DvBasi.bibtex
    track = "labelled"
    scale_range = None

    iterations: Literal[1] = 1
    epochs: int = Field(default=240, ge=1)
    patience: int = Field(default=20, ge=1)

    def edit(self, given: Given) -> Edit:
        """Return (1 + Lambda) delta_0, or delta_0 where that is better, [P].

        Memory: three more vectors [P]: delta_0 and two for the gradient, see `descent`.
        """
        return self.refine(given, TaskLoss(given, labelled=True))

    def merge(self, given: Given) -> Tensor:
        """The vector of `edit`, [P]."""
        return self.edit(given).vector


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

    def edit(self, given: Given) -> Edit:
        """Return (1 + Lambda) delta_0, or delta_0 where that is better, [P].

        Memory: three more vectors [P]: delta_0 and two for the gradient, see `descent`.
        """
        return self.refine(given, TaskLoss(given, labelled=False))

    def merge(self, given: Given) -> Tensor:
        """The vector of `edit`, [P]."""
        return self.edit(given).vector
