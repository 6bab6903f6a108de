"""WUDI-Merging: change the sum of task vectors until it disturbs each of them least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.spectra import (
    gram_rounding_level,
    is_matrix,
    storage_levels,
    warn_of_rounding,
)

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given
    from taskmark.contract.weights import Part


class Wudi(Method):
    """Move the sum of task vectors, weight by weight, to where it interferes least with each.

    Cheng et al., ICML 2025 ("Whoever started the interference should end it"). The rows of a linear
    layer's task vector lie near the span of the layer's inputs, so that they can stand for inputs.
    Per weight [d_out, d_in], from W = sum_t tau_t on, Adam minimises

        L(W) = sum_t ||(W - tau_t) tau_t^T||_F^2 / ||tau_t||_F^2.

    The result is theta0 + W, without a coefficient.

    Conventions:

    - Tensors of two dimensions are merged so, each as the backbone stores it (packed q, k and v are
      one weight); all others are averaged. (The authors' script for image encoders leaves the
      others at theta0, and the projection of the output and the position embeddings with them,
      which have two dimensions in open_clip. The projection is merged here: on a small example that
      is a quarter of the norm of the result.)
    - A task whose vector of a weight is zero takes no part in that weight.
    - The length of the optimiser's way is absolute: at most `n_steps` x `learning_rate` for every
      entry. The defaults fit task vectors whose entries are of the order of 1e-3 and below;
      where they are larger the result stays near the sum.
    - L is quadratic, so that its minimum is known: W = (sum_t tau_t S_t) (sum_t S_t)^+ with
      S_t = tau_t^T tau_t / ||tau_t||_F^2, RegMean with task vectors for inputs. `solver = "exact"`
      goes there, to the minimiser nearest to the sum; it does not depend on the vectors' lengths.
      Directions that the precision of the files cannot tell from none are left at the sum, see
      `taskmark.methods.spectra`.

    Attributes:
        solver: the paper's steps of Adam, or the minimum that they strive for.
        learning_rate: of Adam.
        n_steps: of Adam, a weight.
    """

    name = "wudi"
    paper = "https://arxiv.org/abs/2503.08099"
    bibtex = """@inproceedings{cheng2025whoever,
  title = {Whoever started the interference should end it: guiding data-free model merging via
           task vectors},
  author = {Cheng, Runxi and Xiong, Feng and Wei, Yongxian and Zhu, Wanyun and Yuan, Chun},
  booktitle = {International Conference on Machine Learning},
  year = {2025}
}"""
    scale_range = None
    keeps_direction = True

    solver: Literal["adam", "exact"] = "adam"
    learning_rate: float = Field(default=1e-5, gt=0, allow_inf_nan=False)
    n_steps: int = Field(default=300, ge=0)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P].

        Memory: the result, and for one weight at a time two [d_in, d_in] and seven [d_out, d_in].
        """
        vectors = given.task_vectors
        merged = empty(vectors.shape[1], device=vectors.device)
        for part in given.space:
            rows = vectors[:, part.slice]
            if not is_matrix(part):
                torch.mean(rows, 0, out=merged[part.slice])
                continue
            torch.sum(rows, 0, out=merged[part.slice])
            weight = merged[part.slice].view(part.shape)
            overlap, pull = interference(rows.view(len(rows), *part.shape), weight)
            if self.solver == "exact":
                weight += _minimiser(overlap, pull, noise=_noise(given, part))
            else:
                weight += descend(
                    overlap.float(),
                    pull.float(),
                    learning_rate=self.learning_rate,
                    n_steps=self.n_steps,
                )
        warn_of_rounding(given)
        return merged


def interference(vectors: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The loss around a start: with D = W - start, half its gradient is D A + C.

    A = sum_t S_t and C = sum_t (start - tau_t) S_t, where S_t = tau_t^T tau_t / ||tau_t||_F^2.
    Steps in D keep what steps in W would lose by cancellation; where nothing interferes, C is zero
    exactly, as it should be for an optimiser that looks at signs.

    Args:
        vectors: tau_t, [T, d_out, d_in].
        start: [d_out, d_in].

    Returns:
        A [d_in, d_in] and C [d_out, d_in], float64.
    """
    d_out, d_in = start.shape
    overlap = start.new_zeros(d_in, d_in, dtype=torch.float64)
    pull = start.new_zeros(d_out, d_in, dtype=torch.float64)
    for vector in vectors:
        tau = vector.double()
        energy = tau.square().sum()
        if energy > 0:
            gram = (tau.T @ tau).div_(energy)
            pull.addmm_(start - tau, gram)
            overlap += gram
    return overlap, pull


def descend(overlap: Tensor, pull: Tensor, *, learning_rate: float, n_steps: int) -> Tensor:
    """Where Adam gets to from D = 0 on the gradient 2 (D A + C): [d, d], [n, d] -> D [n, d]."""
    moved = torch.zeros_like(pull, requires_grad=True)
    moved.grad = torch.empty_like(pull)
    optimiser = torch.optim.Adam([moved], lr=learning_rate)
    with torch.no_grad():
        for _ in range(n_steps):
            torch.addmm(pull, moved, overlap, out=moved.grad).mul_(2)
            optimiser.step()
    return moved.detach()


def _noise(given: Given, part: Part) -> float:
    """How large an eigenvalue of A = sum_t S_t can be by the rounding of the files alone."""
    lengths = [float(vector[part.slice].double().norm()) for vector in given.task_vectors]
    levels = storage_levels(given, part)
    return sum((level / n) ** 2 for level, n in zip(levels, lengths, strict=True) if n)


def _minimiser(overlap: Tensor, pull: Tensor, *, noise: float) -> Tensor:
    """The smallest D with D A = -C; directions that no task vector has are left alone."""
    level = max(gram_rounding_level(overlap), noise)
    inverse: Tensor = torch.linalg.pinv(overlap, atol=level, rtol=0.0, hermitian=True)
    return (-pull @ inverse).float()


class WudiExact(Wudi):
    """Move the sum of task vectors all the way to where it interferes least with each.

    The minimum of the loss of `wudi` in closed form, where that method goes a way of fixed length
    towards it. The two agree where the task vectors are short beside that way, as those of CLIP
    are; the row is here because elsewhere the method would be judged by its step size.
    """

    name = "wudi_exact"

    solver: Literal["adam", "exact"] = "exact"
