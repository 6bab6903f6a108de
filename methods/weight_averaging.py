"""Weight averaging: the mean of the experts' weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import Method
from taskmark.contract.allocation import empty

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class WeightAveraging(Method):
    """Average the experts: theta0 + (1 / T) sum_t tau_t, which is mean_t theta_t.

    Also known as model soups, there for experts of one task (Wortsman et al., ICML 2022).
    """

    name = "weight_averaging"
    paper = "https://arxiv.org/abs/2203.05482"
    bibtex = """@inproceedings{wortsman2022model,
  title = {Model soups: averaging weights of multiple fine-tuned models improves accuracy
           without increasing inference time},
  author = {Wortsman, Mitchell and Ilharco, Gabriel and Gadre, Samir Yitzhak and others},
  booktitle = {International Conference on Machine Learning},
  year = {2022}
}"""
    role = "reference"
    scale_range = None
    keeps_direction = True

    def merge(self, given: Given) -> Tensor:
        """Return the mean of the task vectors, [T, P] -> [P]; memory: the result."""
        vectors = given.task_vectors
        return torch.mean(vectors, 0, out=empty(vectors.shape[1], device=vectors.device))
