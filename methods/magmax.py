"""MagMax: of all task vectors, take the entry of largest magnitude."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import Method
from taskmark.contract.allocation import empty
from taskmark.methods.chunks import chunks

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class MagMax(Method):
    """For every weight, take the change of the task that changes it most.

    Marczak et al., ECCV 2024: tau_p = tau_{t,p} with t = argmax_t |tau_{t,p}|, then
    theta0 + lambda tau. The authors tune the tasks one after the other, each from the last; here
    the task vectors are the suite's, of experts tuned independently, which the paper compares too.

    Convention: where the largest magnitude is reached with both signs, neither is taken and the
    result is 0. (The authors' code takes the later task, so that the order would matter.)
    """

    name = "magmax"
    paper = "https://arxiv.org/abs/2407.06322"
    bibtex = """@inproceedings{marczak2024magmax,
  title = {{MagMax}: leveraging model merging for seamless continual learning},
  author = {Marczak, Daniel and Twardowski, Bart{\\l}omiej and Trzci{\\'n}ski, Tomasz and
            Cygert, Sebastian},
  booktitle = {European Conference on Computer Vision},
  year = {2024}
}"""
    scale_range = (0.0, 1.0)
    keeps_direction = True

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks."""
        vectors = given.task_vectors
        merged = empty(vectors.shape[1], device=vectors.device)
        for chunk in chunks(slice(0, len(merged)), len(vectors)):
            merged[chunk] = largest(vectors[:, chunk])
        return merged


def largest(vectors: Tensor) -> Tensor:
    """The entry of largest magnitude in each column, 0 where it has both signs: [T, n] -> [n]."""
    lowest, highest = torch.amin(vectors, 0), torch.amax(vectors, 0)
    sign = (lowest + highest).sign()  # which of them is the farther from zero
    return sign * torch.maximum(highest, -lowest)
