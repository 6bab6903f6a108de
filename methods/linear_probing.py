"""Linear probing: the backbone stays, each task gets a head of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field

from taskmark import Edit, Method
from taskmark.inference.probing import STRENGTHS, probe

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given, Head

_BATCH = 256  # images a forward pass; changes no result


class LinearProbing(Method):
    """Leave the backbone alone and fit a linear head a task on its features.

    The head is a multinomial logistic regression on the standardised features of theta0, fitted on
    the task's train split; its L2 strength is chosen on validation (see `inference.probing.probe`).
    A baseline that task arithmetic in closed-vocabulary models has to beat (Hazimeh, Favero and
    Frossard, 2025).

    Attributes:
        strengths: the grid of C, the inverse weight of the L2 penalty.
    """

    name = "linear_probing"
    paper = "https://arxiv.org/abs/2511.14569"
    bibtex = """@article{hazimeh2025task,
  title = {Task addition and weight disentanglement in closed-vocabulary models},
  author = {Hazimeh, Adam and Favero, Alessandro and Frossard, Pascal},
  journal = {arXiv preprint arXiv:2511.14569},
  year = {2025}
}"""
    track = "labelled"
    role = "baseline"
    scale_range = None

    strengths: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(
        default=STRENGTHS, min_length=1
    )

    def edit(self, given: Given) -> Edit:
        """Return the zero vector [P] with a probed head [C, D] for each task.

        Memory: one more vector [P], the activations of a batch without a gradient, and the
        features of one task, [N, D], in float32 and twice in float64.
        """
        vector = torch.zeros_like(given.pretrained)
        return Edit(vector, heads={task: self._head(given, vector, task) for task in given.tasks})

    def _head(self, given: Given, vector: Tensor, task: str) -> Head:
        train_labels = given.labels(task, "train")
        validation_labels = given.labels(task, "validation")
        return probe(
            _features(given, vector, given.images(task, "train")),
            train_labels,
            _features(given, vector, given.images(task, "validation")),
            validation_labels,
            n_classes=len(given.heads[task].bias),
            strengths=self.strengths,
        )


def _features(given: Given, vector: Tensor, inputs: Tensor) -> Tensor:
    """Features of all inputs, batch by batch: [N, ...] -> [N, D]."""
    with torch.no_grad():
        return torch.cat([given.features(vector, batch) for batch in torch.split(inputs, _BATCH)])
