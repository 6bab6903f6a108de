"""AdaMerging: a coefficient a task and layer, learned without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark import Method
from taskmark.methods.adaptation import Adaptation

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


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
        """Return sum_t c[t, i] tau_t, [P]; memory: two vectors [P] beside it, see `descent`."""
        return self.adapted(given, given.task_vectors, "tensor")
