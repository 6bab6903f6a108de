"""Model Stock: how far to go from the pre-trained model to the mean, read from the angles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import Method
from taskmark.contract.allocation import empty

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given

_COLUMNS = 16_384  # entries of each task vector that are looked at together, in the cache


class ModelStock(Method):
    """Move each tensor from the pre-trained one to the mean of the experts, as far as they agree.

    Jang et al., ECCV 2024. For each tensor, with c the mean cosine over the pairs of task vectors:

        t = T c / (1 + (T - 1) c),  theta = t mean_t theta_t + (1 - t) theta0,

    which is the task vector t mean_t tau_t. The point is the nearest to the centre of the experts'
    distribution, under the paper's assumption that all lie on a sphere around it. The method finds
    its own scale, so that none is searched.

    Conventions:

    - A layer is one tensor of the model, whatever its shape: a weight and its bias have each their
      own t, and packed queries, keys and values share one. (The paper says layer-wise; the pairs
      are averaged as cosines, not as angles.)
    - The cosine with a vector of zeros is 0.
    - Where c is negative, t is 0: the formula would turn away from the experts, and has a pole at
      c = -1 / (T - 1). So t is in 0 .. 1.
    - A single expert has no pair, and t is 1.
    """

    name = "model_stock"
    paper = "https://arxiv.org/abs/2403.19522"
    bibtex = """@inproceedings{jang2024model,
  title = {Model stock: all we need is just a few fine-tuned models},
  author = {Jang, Dong-Hwan and Yun, Sangdoo and Han, Dongyoon},
  booktitle = {European Conference on Computer Vision},
  year = {2024}
}"""
    scale_range = None
    keeps_direction = True

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        vectors = given.task_vectors
        merged = empty(vectors.shape[1], device=vectors.device)
        for part in given.space:
            rows = vectors[:, part.slice]
            torch.mean(rows, 0, out=merged[part.slice])
            merged[part.slice] *= interpolation_ratio(mean_cosine(gram(rows)), len(rows))
        return merged


def interpolation_ratio(cosine: float, n_tasks: int) -> float:
    """The share t of the mean in the merged tensor, in 0 .. 1."""
    cosine = max(0.0, cosine)
    return n_tasks * cosine / (1 + (n_tasks - 1) * cosine)


def mean_cosine(inner: Tensor) -> float:
    """Mean cosine over the pairs, from inner products [T, T]; 1 where there is no pair."""
    n_tasks = len(inner)
    if n_tasks == 1:
        return 1.0
    norms = inner.diagonal().sqrt()
    cosines = inner / torch.outer(norms, norms).clamp(min=torch.finfo(inner.dtype).tiny)
    return float((cosines.sum() - cosines.trace()) / (n_tasks * (n_tasks - 1)))


def gram(rows: Tensor) -> Tensor:
    """Inner products of the rows in float64, [T, n] -> [T, T]."""
    inner = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for chunk in torch.split(rows, _COLUMNS, 1):
        exact = chunk.double()
        inner.addmm_(exact, exact.T)
    return inner
