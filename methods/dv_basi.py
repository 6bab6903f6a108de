"""DV-BASI: refine a merged model along its difference vector, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark import Method
from taskmark.methods.difference_vectors import Refinement
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class DvBasi(Refinement, Method):
    """Refine a learned merge along its difference vectors, on labelled validation images.

    Wang et al., AAAI 2026. theta_0 is the merge of aTLAS (see `atlas`). For m = 1 .. M, the
    difference vector is theta_{m-1} - theta_pre, and Lambda_m, one scalar a parameter tensor, is
    learned with all else held fixed, to minimise the sum over tasks of the cross-entropy at

        theta_m = theta_{m-1} + Lambda_m (theta_{m-1} - theta_pre).

    Hence theta_M = theta_pre + prod_m (1 + Lambda_m) (theta_0 - theta_pre), tensor by tensor: the
    control is `direct_scaling`, which learns that one scale by the same means and budget.

    The best of theta_0 .. theta_M is kept. Stopping and this choice use a fifth of each task's
    validation images, which are never learned on. The paper leaves M to 3 .. 5 and the initial
    scale to 0.1 .. 1; its weight decay is not known to us, and is that of aTLAS here.
    """

    name = "dv_basi"
    paper = "https://arxiv.org/abs/2511.17987"
    bibtex = """@inproceedings{wang2026escaping,
  title = {Escaping optimization stagnation: taking steps beyond task arithmetic via difference
           vectors},
  author = {Wang, Jinping and Gao, Zhiqiang and Zhang, Dinggen and Xie, Zhiwu},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year = {2026}
}"""
    track = "labelled"
    scale_range = None

    def merge(self, given: Given) -> Tensor:
        """Return the best delta_m, [P].

        Memory: four vectors [P] beside it: the last two delta_m and two for the gradient, see
        `descent`.
        """
        return self.refined(given, TaskLoss(given, labelled=True))
