"""DOGE: let one common change of the task vectors settle their conflicts, then add them up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.spectra import is_matrix
from taskmark.methods.trimming import threshold

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given

_USUAL = 0.28  # length of a task vector of a weight of CLIP's encoders, four times eta
_BEARABLE = (1e-6, 1e6)  # lengths for which the gradients of Adam fit single precision
_NEGLIGIBLE = 1e-12  # of the longest task vector of a weight


class Doge(Method):
    """Add up task vectors after one common change Delta, learnt outside of what they share.

    Wei et al., ICML 2025 (adaptive projective gradient descent), on task arithmetic. Per weight
    [d_out, d_in]:

    1. coefficients: lambda_t = eta / ||tau_t||;
    2. shared subspace: the top d_out-singular vectors U of the tasks' own top singular vectors, put
       side by side;
    3. Delta, from 0 on, minimises by Adam the gap to each expert, with tau_t in place of the
       gradient of its loss,

           sum_t sum_rows <tau_t, tau_t - sum_s lambda_s (tau_s + Delta)>^2,

       where each gradient G loses its part in the shared subspace, G - U U^T G;
    4. trim: of tau_t + Delta stays what is among the largest entries of |tau_t|, over all weights;
    5. theta0 + alpha sum_t lambda_t (tau_t + Delta), trimmed.

    Conventions:

    - Tensors of two dimensions take part, each as the backbone stores it; all others stay at
      theta0, as in the authors' code.
    - Each of T tasks gives its r // T top left singular vectors with r = min(d_out, d_in), and U
      has the r // `subspace` top left singular vectors of all of them. In a weight so small that
      this is 0, no gradient is projected.
    - A task whose vector of a weight is zero has lambda_t = 0 and no share in U there.
    - Task vectors of a rank below r // T, such as adapters folded into the weights, leave the rest
      of U to arbitrary directions, as in the authors' code: rounding decides on them, and with them
      on Delta. On three adapters of rank 4 in a 96 x 96 weight the result of folded and unfolded
      ones has a cosine of .96 where tau is 1/50 of theta0, and .62 at 1/500, in float32.
    - Where the longest vector of a weight is shorter than 1e-6 or longer than 1e6, steps of an
      absolute length mean nothing, and single precision does not bear the gradients: such vectors
      are first brought to the length of those of CLIP, as `steps = "relative"` does with all.
      Vectors of less than 1e-12 of the longest count as zero.
    - Trimming keeps the nearest integer to density x n entries, and what equals the smallest.
    - eta is a length, fitted by the authors to their vectors: 0.07 is about a quarter of the length
      of such a vector of a CLIP encoder. alpha = 1 is the paper; since other suites have vectors
      some ten times as long, the harness may multiply by up to 20. The steps of Adam are absolute
      too: `n_steps` x `learning_rate` at most.

    Attributes:
        eta: length that each task's vector of a weight is given.
        density: share of the entries that trimming keeps.
        subspace: how many times smaller than r the shared subspace is.
        learning_rate: of Adam.
        n_steps: of Adam, a weight.
        steps: "absolute" is the authors' code. "relative" first multiplies the task vectors of
            each weight by the power of two that brings the longest nearest to 0.28, the length for
            which the authors' rate was chosen, so that the result does not depend on their scale
            but for rounding to that power.
    """

    name = "doge"
    paper = "https://arxiv.org/abs/2501.01230"
    bibtex = """@inproceedings{wei2025modeling,
  title = {Modeling multi-task model merging as adaptive projective gradient descent},
  author = {Wei, Yongxian and Tang, Anke and Shen, Li and Hu, Zixuan and Yuan, Chun and
            Cao, Xiaochun},
  booktitle = {International Conference on Machine Learning},
  year = {2025}
}"""
    scale_range = (0.0, 20.0)
    added_fields = ("steps",)

    eta: float = Field(default=0.07, gt=0, allow_inf_nan=False)
    density: float = Field(default=0.3, gt=0, le=1)
    subspace: int = Field(default=6, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    n_steps: int = Field(default=400, ge=0)
    steps: Literal["absolute", "relative"] = "absolute"

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P].

        Memory: the result, and for one weight at a time about ten of its size in float64, most of
        it for its decompositions.
        """
        vectors = given.task_vectors
        weights = [part for part in given.space if is_matrix(part)]
        merged = empty(vectors.shape[1], device=vectors.device)
        slices = [part.slice for part in weights]
        # The memory of the result serves as scratch until the result is written there.
        thresholds = [_threshold(row, slices, self.density, scratch=merged) for row in vectors]
        merged.zero_()
        for part in weights:
            rows = vectors[:, part.slice].view(len(vectors), *part.shape)
            lengths = torch.linalg.vector_norm(rows, dim=(1, 2), dtype=torch.float64)
            kept = [tau.abs() >= least for tau, least in zip(rows, thresholds, strict=True)]
            unit = self._unit(float(lengths.max()))
            if unit != 1:
                rows, lengths = rows.double().mul_(unit).float(), lengths * unit
            takes_part = lengths > _NEGLIGIBLE * lengths.max()
            if (lengths[~takes_part] > 0).any():
                rows = rows * takes_part[:, None, None]
            coefficients = torch.where(takes_part, self.eta / lengths, 0.0).float()
            delta = descend(
                rows,
                coefficients,
                shared_subspace(rows, self.subspace),
                learning_rate=self.learning_rate,
                n_steps=self.n_steps,
            )
            weight = merged[part.slice].view(part.shape)
            for tau, coefficient, some in zip(rows, coefficients, kept, strict=True):
                weight.add_((tau + delta).mul_(some).mul_(coefficient))
        return merged

    def _unit(self, longest: float) -> float:
        """What task vectors of a weight are multiplied with, a power of two, which is exact."""
        least, most = _BEARABLE
        if not longest or (self.steps == "absolute" and least <= longest <= most):
            return 1.0
        return 2.0 ** round(math.log2(_USUAL / longest))


def shared_subspace(vectors: Tensor, fraction: int) -> Tensor:
    """Directions of the output that the task vectors share: [T, d_out, d_in] -> U [d_out, k]."""
    n_tasks, d_out, d_in = vectors.shape
    rank = min(d_out, d_in)
    own = rank // n_tasks
    if not rank // fraction or not own:
        return vectors.new_zeros(d_out, 0)
    tops = [_left_singular(tau.double())[:, :own] for tau in vectors if tau.any()]
    if not tops:
        return vectors.new_zeros(d_out, 0)
    return _left_singular(torch.cat(tops, 1))[:, : rank // fraction].float()


def _left_singular(matrix: Tensor) -> Tensor:
    left: Tensor = torch.linalg.svd(matrix, full_matrices=False).U
    return left


def descend(
    vectors: Tensor,
    coefficients: Tensor,
    shared: Tensor,
    *,
    learning_rate: float,
    n_steps: int,
) -> Tensor:
    """Where Adam gets to from Delta = 0, by gradients outside of the shared subspace.

    Args:
        vectors: tau_t, [T, d_out, d_in].
        coefficients: lambda_t, [T].
        shared: U, [d_out, k], orthonormal columns.
        learning_rate: of Adam.
        n_steps: of Adam.

    Returns:
        Delta, [d_out, d_in].
    """
    total = float(coefficients.sum())
    # What of <tau_t, tau_t - sum_s lambda_s tau_s> stands before Delta moves, a number a row.
    merged = torch.einsum("t,tmn->mn", coefficients, vectors)
    fixed = [torch.linalg.vecdot(tau, tau - merged) for tau in vectors]  # [d_out] each
    delta = torch.zeros_like(merged, requires_grad=True)
    delta.grad = gradient = torch.empty_like(merged)
    optimiser = torch.optim.Adam([delta], lr=learning_rate)
    with torch.no_grad():
        for _ in range(n_steps):
            gradient.zero_()
            for tau, before in zip(vectors, fixed, strict=True):
                gap = before - total * torch.linalg.vecdot(tau, delta)
                gradient.addcmul_(gap[:, None], tau, value=-2 * total)
            gradient.addmm_(shared, shared.T @ gradient, alpha=-1)
            optimiser.step()
    return delta.detach()


def _threshold(vector: Tensor, slices: list[slice], density: float, *, scratch: Tensor) -> float:
    """The smallest magnitude that trimming keeps of the weights together."""
    n_entries = 0
    for entries in slices:
        size = entries.stop - entries.start
        scratch[n_entries : n_entries + size] = vector[entries]
        n_entries += size
    of_weights = scratch[:n_entries].cpu()
    return threshold(of_weights, density, scratch=of_weights)
