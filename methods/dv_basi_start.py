"""What DV-BASI starts from: a learned merge on half of the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark import Method
from taskmark.methods.difference_vectors import Refinement
from taskmark.methods.dv_basi import DvBasi
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DvBasiStart(Refinement, Method):
    """The learned merge delta_0 that `dv_basi` and `direct_scaling` go on from, as it is.

    A control: aTLAS on the share `start_share` of the budget. What `dv_basi` gains over this row
    is what refinement along difference vectors gains; what it gains over `atlas`, which spends the
    whole budget on learning to merge, is what difference vectors gain over more of the same. With
    the same expert and method seeds it is the very vector, since both learn it alike. Fields that
    concern what follows the start have no effect.
    """

    name = "dv_basi_start"
    paper = DvBasi.paper
    bibtex = DvBasi.bibtex
    track = "labelled"
    scale_range = None

    def merge(self, given: Given) -> Tensor:
        """Return delta_0, [P]; memory: two vectors [P] beside it, see `descent`."""
        return self.start(given, TaskLoss(given, labelled=True)).vector
