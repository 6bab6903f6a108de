"""AdaMerging: coefficients of tasks, or of tasks and layers, learned without labels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, Field

from taskmark import Method
from taskmark.methods.chunks import chunks, pieces
from taskmark.methods.coefficient_learning import descent
from taskmark.methods.coefficients import combine, groups
from taskmark.methods.task_loss import TaskLoss
from taskmark.methods.ties import trim
from taskmark.methods.trimming import threshold

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

    def adapt(self, given: Given, directions: Directions, granularity: Granularity) -> Tensor:
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


class AdaMerging(Adaptation, Method):
    """Learn a coefficient for every task and parameter tensor by the entropy of the predictions.

    Yang et al., ICLR 2024, layer-wise AdaMerging: theta = theta0 + sum_t c[t, l] tau_t in layer l,
    where c starts at 0.3 and Adam minimises the sum over tasks of the mean entropy of the
    predictions.

    Conventions:

    - A layer is one parameter tensor, as in the authors' code.
    - The images are those of validation. The authors adapt on the images that they test on.
    - Coefficients are free, as in the paper. (The authors' code clamps them to 0 .. 1.)
    - The coefficients of the last step are the result; nothing is held out.
    """

    name = "adamerging"
    paper = "https://arxiv.org/abs/2310.02575"
    bibtex = """@inproceedings{yang2024adamerging,
  title = {{AdaMerging}: adaptive model merging for multi-task learning},
  author = {Yang, Enneng and Wang, Zhenyi and Shen, Li and Liu, Shiwei and Guo, Guibing and
            Wang, Xingwei and Tao, Dacheng},
  booktitle = {International Conference on Learning Representations},
  year = {2024}
}"""
    track = "unlabelled"
    scale_range = None

    def merge(self, given: Given) -> Tensor:
        """Return sum_t c[t, i] tau_t, [P]; memory: two more vectors [P], see `descent`."""
        return self.adapt(given, given.task_vectors, "tensor")


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
        """Return sum_t c[t] tau_t, [P]; memory: two more vectors [P], see `descent`."""
        return self.adapt(given, given.task_vectors, "scalar")


class AdaMergingPlus(Adaptation, Method):
    """Learn layer-wise coefficients of task vectors that are trimmed and agree in sign.

    Yang et al., ICLR 2024, layer-wise AdaMerging++: theta = theta0 + sum_t c[t, l] Phi(tau_t) in
    layer l. Phi is what TIES does before it merges: it keeps the largest entries of each task
    vector, elects the sign of their sum, and drops the entries of the other sign.

    Conventions are those of `adamerging` for learning, and those of `ties` for Phi: trimming is
    over the whole vector, entries that equal the threshold are kept, and where the kept entries sum
    to exactly zero, no sign is elected and all are dropped.

    Attributes:
        density: share of the entries that trimming keeps.
    """

    name = "adamerging_plus"
    paper = AdaMerging.paper
    bibtex = AdaMerging.bibtex
    track = "unlabelled"
    scale_range = None

    density: float = Field(default=0.2, gt=0, le=1)

    def merge(self, given: Given) -> Tensor:
        """Return sum_t c[t, i] Phi(tau_t), [P].

        Memory: two more vectors [P], see `descent`; a byte an entry for the elected signs, and
        the largest tensor once for each task.
        """
        return self.adapt(given, Agreeing.of(given.task_vectors, self.density), "tensor")


@dataclass(frozen=True, slots=True)
class Agreeing:
    """Phi(tau_t), [T, P]: what is among the largest of its row and has the sign elected by all.

    Entries are made when they are looked at, since all of them would be as large as the task
    vectors.

    Attributes:
        vectors: tau, [T, P].
        thresholds: the smallest magnitude that each row keeps, T numbers.
        signs: what is elected, -1, 0 or 1, [P], int8.
    """

    vectors: Tensor
    thresholds: tuple[float, ...]
    signs: Tensor

    @classmethod
    def of(cls, vectors: Tensor, density: float) -> Agreeing:
        """Rank each row and elect the signs.

        Args:
            vectors: one row a task, [T, P].
            density: share of the entries that each row keeps before signs are elected.
        """
        scratch = torch.empty(vectors.shape[1])  # thresholds are found on the CPU
        thresholds = tuple(threshold(row.cpu(), density, scratch=scratch) for row in vectors)
        signs = torch.empty_like(vectors[0], dtype=torch.int8)
        for chunk, rows, room in pieces(vectors, slice(0, vectors.shape[1])):
            signs[chunk] = trim(rows, thresholds, out=room).sum(0).sign_()
        return cls(vectors, thresholds, signs)

    @property
    def shape(self) -> torch.Size:
        """T and P."""
        return self.vectors.shape

    def __getitem__(self, index: tuple[slice, slice | Tensor], /) -> Tensor:
        """The same entries of some rows, [T, n]."""
        which, entries = index
        rows, signs = self.vectors[which, entries], self.signs[entries]
        kept = torch.empty_like(rows)
        for chunk in chunks(slice(0, rows.shape[1]), len(rows)):
            sign = signs[chunk].float()
            trimmed = trim(rows[:, chunk], self.thresholds[which], out=kept[:, chunk])
            trimmed.mul_(sign).relu_().mul_(sign)
        return kept
