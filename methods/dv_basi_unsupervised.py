"""DV-BASI without labels: the same loop on the entropy of the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark import Method
from taskmark.methods.difference_vectors import Refinement
from taskmark.methods.dv_basi import DvBasi
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DvBasiUnsupervised(Refinement, Method):
    """Refine a learned merge along its difference vectors, on images without labels.

    Wang et al., AAAI 2026: `dv_basi` with the entropy of the predictions in place of the
    cross-entropy. The start, stopping and the choice of the iteration go by the entropy too, so
    no label is seen anywhere; the images are those of validation. The control is
    `direct_scaling_unsupervised`.
    """

    name = "dv_basi_unsupervised"
    paper = DvBasi.paper
    bibtex = DvBasi.bibtex
    track = "unlabelled"
    scale_range = None

    def merge(self, given: Given) -> Tensor:
        """Return the best delta_m, [P].

        Memory: four vectors [P] beside it: the last two delta_m and two for the gradient, see
        `descent`.
        """
        return self.refined(given, TaskLoss(given, labelled=False))
