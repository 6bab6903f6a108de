"""Tangent fine-tuning: experts tuned in the linearised model, and added there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark import Method

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class TangentFineTuning(Method):
    """Add up task vectors that were tuned, and are read, in the tangent space of theta0.

    The model is f_lin(x; theta) = f(x; theta0) + J(x) (theta - theta0), with J the Jacobian of the
    features at theta0: every expert minimises its loss in f_lin, and the sum is read in f_lin
    (Ortiz-Jimenez et al., NeurIPS 2023). What differs from task arithmetic is the recipe alone;
    `post_hoc_linearisation` is the control that changes the reading and keeps the experts.
    """

    name = "tangent_fine_tuning"
    paper = "https://arxiv.org/abs/2305.12827"
    bibtex = """@inproceedings{ortizjimenez2023task,
  title = {Task arithmetic in the tangent space: improved editing of pre-trained models},
  author = {Ortiz-Jimenez, Guillermo and Favero, Alessandro and Frossard, Pascal},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2023}
}"""
    recipe = "tangent"
    scale_range = (0.0, 1.0)
    keeps_direction = True

    def merge(self, given: Given) -> Tensor:
        """Return the sum of the tangent task vectors, [T, P] -> [P]."""
        return given.task_vectors.sum(0)
