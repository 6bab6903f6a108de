"""DELLA: MagPrune, then elect a sign, and average what agrees with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from taskmark import Method
from taskmark.methods.magprune import check_window, merged_pruned
from taskmark.methods.ties import elect_and_merge

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class Della(Method):
    """Drop small entries more often than large ones, elect a sign, and average what agrees.

    Deep et al. 2024 (Drop and rEscaLe via sampLing with mAgnitude). For each task:

    1. drop (MagPrune): the entries of a row are ranked by magnitude, r = 0 for the smallest of n;
       an entry is dropped with probability p_r = p + epsilon / 2 - epsilon r / (n - 1), and what
       survives is divided by 1 - p_r;
    2. elect: for each weight the sign of the sum over the tasks;
    3. fuse: the mean of the entries that have this sign.

    The result is theta0 + lambda times that vector.

    Conventions:

    - The mean of p_r over a row is p exactly, as in the authors' code. Each p_r is rounded to a
      multiple of 2^-16, and the rescaling is by what was really used.
    - A row is what belongs to one index of the first dimension, so that a convolution has one row
      for each output channel. A tensor of one dimension is one row; a row of one entry has p.
    - Of equal magnitudes the left one ranks lower.
    - Each survivor has its own factor 1 / (1 - p_r), as in the paper. (mergekit multiplies all by
      the ratio of the L1 norms before and after, and fails on rows of one entry.)
    - Election and mean are those of `ties`: a sum of exactly zero elects nothing.
    - Each task has its own random numbers, made from the seed and the name of the task, so that the
      order of the tasks is irrelevant.

    Attributes:
        drop_rate: p; the default is that of the example in the authors' code.
        window: epsilon, the width of the probabilities; likewise.
        merge_function: the mean over agreeing tasks, or their sum.
    """

    name = "della"
    paper = "https://arxiv.org/abs/2406.11617"
    bibtex = """@article{deep2024della,
  title = {{DELLA}-Merging: reducing interference in model merging through magnitude-based
           sampling},
  author = {Deep, Pala Tej and Bhardwaj, Rishabh and Poria, Soujanya},
  journal = {arXiv:2406.11617},
  year = {2024}
}"""
    scale_range = (0.0, 2.0)

    drop_rate: float = Field(default=0.3, ge=0, lt=1)
    window: float = Field(default=0.14, ge=0, le=1)
    merge_function: Literal["mean", "sum"] = "mean"

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        check_window(self.drop_rate, self.window)
        return self

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [T, P] -> [P]; memory: the result and a few chunks.

        A row is ranked as a whole, in 8 bytes an entry.
        """
        mean = self.merge_function == "mean"
        return merged_pruned(
            given,
            lambda kept: elect_and_merge(kept, mean=mean),
            drop_rate=self.drop_rate,
            window=self.window,
        )
