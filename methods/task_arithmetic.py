"""Task arithmetic: task vectors add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.weighting import TaskWeights, task_weights

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class TaskArithmetic(Method):
    """Add up the task vectors: theta0 + lambda sum_t tau_t.

    Ilharco et al., ICLR 2023. One lambda serves all tasks and is searched on validation.

    Attributes:
        weights: of each task, in the order of `given.tasks`: theta0 + lambda sum_t w_t tau_t; any
            finite number, negative ones to take a task away. All are 1 where not said.
    """

    name = "task_arithmetic"
    paper = "https://arxiv.org/abs/2212.04089"
    bibtex = """@inproceedings{ilharco2023editing,
  title = {Editing models with task arithmetic},
  author = {Ilharco, Gabriel and Ribeiro, Marco Tulio and Wortsman, Mitchell and
            Gururangan, Suchin and Schmidt, Ludwig and Hajishirzi, Hannaneh and Farhadi, Ali},
  booktitle = {International Conference on Learning Representations},
  year = {2023}
}"""
    scale_range = (0.0, 1.0)
    keeps_direction = True
    added_fields = ("weights",)

    weights: TaskWeights = None

    def merge(self, given: Given) -> Tensor:
        """Return the weighted sum of the task vectors, [T, P] -> [P]; memory: the result."""
        vectors = given.task_vectors
        merged = empty(vectors.shape[1], device=vectors.device)
        if self.weights is None:
            return torch.sum(vectors, 0, out=merged)
        return torch.mv(vectors.T, task_weights(self.weights, given), out=merged)
