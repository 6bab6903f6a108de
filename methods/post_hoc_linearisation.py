"""Post-hoc linearisation: standard experts, read in the linearised model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark import Method
from taskmark.methods.tangent_fine_tuning import TangentFineTuning

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class PostHocLinearisation(Method):
    """Add up standard task vectors and read the sum in the tangent space of theta0.

    The experts are those of task arithmetic; the model is that of `tangent_fine_tuning`,
    f(x; theta0) + lambda J(x) sum_t tau_t (Ortiz-Jimenez et al., NeurIPS 2023). The control that
    tells the gain of tuning in the tangent space from the gain of reading there.
    """

    name = "post_hoc_linearisation"
    paper = TangentFineTuning.paper
    bibtex = TangentFineTuning.bibtex
    recipe = "post_hoc"
    scale_range = (0.0, 1.0)
    keeps_direction = True

    def merge(self, given: Given) -> Tensor:
        """Return the sum of the standard task vectors, [T, P] -> [P]."""
        return given.task_vectors.sum(0)
