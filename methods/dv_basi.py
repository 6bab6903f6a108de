"""DV-BASI: refine a merged model, or an expert, along its difference vector, again and again."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Edit, Method
from taskmark.methods.difference_vectors import Loop, Refinement
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
    scale to 0.1 .. 1.

    Conventions; the authors' code is github.com/smithgun2005/DVBASI at 2d16b64:

    - `weight_decay` is 0.1 and gradients are not clipped. (The authors' code has 0.5, for the start
      too, and clips the norm of all coefficients' gradients at 1: `weight_decay=0.5`,
      `start_weight_decay=0.5`, `clip_norm=1`.)
    - One Lambda a tensor. (The authors' code learns one for the whole vector unless a flag is
      passed: `granularity="scalar"`.) An iteration stops by the loss on images held out. (There it
      stops by the loss that is learned on, and the best iteration is chosen on test images.)
    - Under the recipe "tangent" everything is read in the one model linearised at theta_pre:
      f(x; theta_pre) + J(x) (theta_m - theta_pre), J taken at theta_pre. (The authors' code
      linearises anew in every iteration, at theta_{m-1}: `linearise="each_iteration"`, whose result
      is read where its last iteration was. With difference vectors of a norm of .3 the features of
      the two differ by half of their own norm.)
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

    def edit(self, given: Given) -> Edit:
        """Return the best delta_m, [P], and where the model is linearised.

        Memory: four more vectors [P]: the last two delta_m and two for the gradient, see
        `descent`; three where there is one iteration.
        """
        return self.refine(given, TaskLoss(given, labelled=self.track == "labelled"))

    def merge(self, given: Given) -> Tensor:
        """The vector of `edit`, [P]."""
        return self.edit(given).vector


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
        """Return delta_0, [P]; memory: two more vectors [P], see `descent`."""
        return self.start(given, TaskLoss(given, labelled=True)).vector


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

        Memory: three more vectors [P]: the last delta_m and two for the gradient, see
        `descent`.
        """
        vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
        refined: dict[str, Tensor] = {}
        for task in sorted(vectors):
            share = given.gradient_images_left // (len(vectors) - len(refined))
            refined[task] = self._refine(given, task, vectors[task], share)
        return Edit(vector=torch.zeros_like(given.pretrained), per_task=refined)

    def _refine(self, given: Given, task: str, vector: Tensor, budget: int) -> Tensor:
        loss = TaskLoss(given, labelled=True, tasks=[task])
        stays = [(loss.held_out(vector), vector)]
        results = self.iterates(given, loss, vector, budget=budget)
        moves = ((result.held_out_loss, result.vector) for result in results)
        return min(chain(stays, moves), key=lambda pair: pair[0])[1]


class DvBasiUnsupervised(DvBasi):
    """Refine a learned merge along its difference vectors, on images without labels.

    Wang et al., AAAI 2026: `dv_basi` with the entropy of the predictions in place of the
    cross-entropy. The start, stopping and the choice of the iteration go by the entropy too, so
    no label is seen anywhere; the images are those of validation. The control is
    `direct_scaling_unsupervised`.
    """

    name = "dv_basi_unsupervised"
    track = "unlabelled"


class DirectScaling(DvBasi):
    """Scale a learned merge tensor by tensor, directly, on labelled validation images.

    The control of `dv_basi`, whose result is theta_pre + prod_m (1 + Lambda_m) delta_0 and so lies
    among the per-tensor scalings of its start delta_0. Here that scale, 1 + Lambda, is learned in
    one go from the same start, by the same optimiser and from the same initial value, with the
    whole remaining budget: DV-BASI with M = 1, where an iteration may take as many epochs, and wait
    as long, as the four of DV-BASI together. What DV-BASI gains over it is owed to following
    difference vectors.
    """

    name = "direct_scaling"

    iterations: Literal[1] = 1
    epochs: int = Field(default=240, ge=1)
    patience: int = Field(default=20, ge=1)


class DirectScalingUnsupervised(DirectScaling):
    """Scale a learned merge tensor by tensor, directly, on images without labels.

    `direct_scaling` with the entropy of the predictions in place of the cross-entropy: the control
    of `dv_basi_unsupervised`, with the same start, optimiser and budget.
    """

    name = "direct_scaling_unsupervised"
    track = "unlabelled"
