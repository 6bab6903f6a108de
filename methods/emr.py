"""EMR-Merging: elect one vector; mask and rescale it for each task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import Edit, Mask, Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import chunks

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class Emr(Method):
    """Elect one vector for all tasks, and turn it into each task's by a mask and a factor.

    Huang et al., NeurIPS 2024 (Elect, Mask & Rescale):

    1. elect: gamma = sgn(sum_t tau_t), epsilon = the largest |tau_t| among the tasks whose entry
       has that sign, tau_uni = gamma epsilon;
    2. mask: M_t = 1[tau_t tau_uni > 0];
    3. rescale: lambda_t = sum |tau_t| / sum |M_t tau_uni|, over all entries of the model.

    Task t is served by theta0 + lambda_t M_t tau_uni. The task must be known at inference, so that
    this is not one merged model. No hyper-parameter, no coefficient.

    Conventions:

    - Where the entries sum to exactly zero, sgn(0) = 0: tau_uni is 0 and no mask keeps the entry.
      (The authors' code elects the negative sign there. Of tuned float32 weights next to no sum is
      exactly zero but that of entries which nobody changed, which is 0 either way.)
    - lambda_t is one number a task over the whole model, as in the paper. (The authors' code adds
      up the means of every tensor, so that an entry of a small tensor weighs more.)
    - A task with an empty mask has lambda_t = 1; it is left with theta0.
    - Where the task is unknown, tau_uni serves.
    """

    name = "emr"
    paper = "https://arxiv.org/abs/2405.17461"
    bibtex = """@inproceedings{huang2024emr,
  title = {{EMR}-Merging: tuning-free high-performance model merging},
  author = {Huang, Chenyu and Ye, Peng and Chen, Tao and He, Tong and Yue, Xiangyu and
            Ouyang, Wanli},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2024}
}"""
    scale_range = None

    def edit(self, given: Given) -> Edit:
        """Return tau_uni with a mask for each task; memory: tau_uni, T masks, a few chunks."""
        vectors = given.task_vectors
        elected = empty(vectors.shape[1], device=vectors.device)
        kept = torch.empty(vectors.shape, dtype=torch.bool, device=vectors.device)
        sizes, masked_sizes = torch.zeros(2, len(vectors), dtype=torch.float64)
        for chunk in chunks(slice(0, vectors.shape[1]), len(vectors)):
            rows = vectors[:, chunk]
            agreeing, sign = elect(rows)
            size = agreeing.amax(0)
            torch.mul(size, sign, out=elected[chunk])
            sizes += rows.abs().sum(1).double().cpu()
            agrees = agreeing.sign_()  # 0.0 and 1.0: floats run on vector instructions
            kept[:, chunk] = agrees.bool()
            masked_sizes += (agrees @ size).double().cpu()
        factors = torch.where(masked_sizes > 0, sizes / masked_sizes, 1.0).tolist()
        return Edit(elected, masks=dict(zip(given.tasks, map(Mask, kept, factors), strict=True)))


def elect(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The sign of the sum, and the magnitudes of the entries that have it, else 0.

    Args:
        vectors: task vectors, [T, n].

    Returns:
        Magnitudes [T, n] and sign [n].
    """
    sign = vectors.sum(0).sign()
    return (vectors * sign).relu_(), sign
