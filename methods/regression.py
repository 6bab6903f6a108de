"""Merging linear layers by least squares: the closed form that RegMean and RegMean++ share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark.methods.spectra import gram_rounding_level

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given, WeightSpace


class NormalEquations:
    """The least-squares problem of one linear weight, gathered task by task.

    The merged W minimises sum_t ||X_t (W - W_t)^T||^2 where the rows of X_t are the inputs of the
    layer on task t. With the Gram matrix G_t = X_t^T X_t,

        W = (sum_t W_t G_t) (sum_t G_t)^-1

    (Jin et al. 2023, equation 2, for weights [d_out, d_in]). The entries of G_t off its diagonal
    are multiplied by alpha first. W may stand for the change of the weight too, since theta0
    contributes theta0 itself.

    Memory: [d_in, d_in] and [d_out, d_in] in float64; the W_t are not copied.
    """

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._left: Tensor | None = None  # sum_t G_t
        self._right: Tensor | None = None  # sum_t W_t G_t
        self._weights: list[Tensor] = []

    def add(self, weight: Tensor, gram: Tensor) -> None:
        """Add a task.

        Args:
            weight: W_t, or what the task changes of it, [d_out, d_in]; looked at again in the end.
            gram: G_t, [d_in, d_in], float64; kept and overwritten.
        """
        shrink(gram, self._alpha)
        product = weight.double() @ gram
        self._left = gram if self._left is None else self._left.add_(gram)
        self._right = product if self._right is None else self._right.add_(product)
        self._weights.append(weight)

    def solve(self) -> Tensor:
        """W, [d_out, d_in], float64; of several minimisers the one nearest to the average.

        There are several where inputs depend on each other, as far as float32 can tell: dividing by
        what rounding left of a direction would blow up what the experts differ by. What was added
        is used up.
        """
        left, right = self._left, self._right
        if left is None or right is None:
            raise ValueError("nothing was added")
        self._left = self._right = None
        total = torch.zeros_like(right)
        for weight in self._weights:
            total += weight
        mean = total.div_(len(self._weights))
        right -= mean @ left  # of the difference from the average
        # An input that is always zero leaves its column open: there the average stays.
        level = gram_rounding_level(left)
        diagonal = left.diagonal()
        diagonal += diagonal == 0
        factor, failed = torch.linalg.cholesky_ex(left)
        if failed or _least_pivot(factor, left) <= torch.finfo(torch.float32).eps ** 2 * len(left):
            inverse = torch.linalg.pinv(left, atol=level, rtol=0.0, hermitian=True)
            found: Tensor = right @ inverse
        else:
            found = torch.cholesky_solve(right.T, factor).T
        return mean + found


class LinearWeights:
    """The least-squares problems of linear weights by name, each begun by the first task it gets.

    Memory: that of `NormalEquations` for each weight, until it is solved.
    """

    def __init__(self, space: WeightSpace, alpha: float) -> None:
        self._parts = {part.name: part for part in space}
        self._alpha = alpha
        self._equations: dict[str, NormalEquations] = {}

    def add(self, vector: Tensor, grams: dict[str, Tensor]) -> None:
        """Add a task.

        Args:
            vector: tau_t, [P]; looked at again in the end.
            grams: Gram matrices by the name of the weight; used up.
        """
        for name in list(grams):
            part = self._parts[name]
            own = self._equations.setdefault(name, NormalEquations(self._alpha))
            own.add(vector[part.slice].view(part.shape), grams.pop(name))

    def solve_into(self, merged: Tensor) -> None:
        """Write the solutions to their parts of a vector [P]; the problems are used up."""
        for name in list(self._equations):
            part = self._parts[name]
            merged[part.slice].view(part.shape).copy_(self._equations.pop(name).solve())


def _least_pivot(factor: Tensor, gram: Tensor) -> float:
    """The least share of an input's energy that the inputs before it leave unexplained."""
    return float((factor.diagonal().square() / gram.diagonal()).min())


def shrink(gram: Tensor, alpha: float) -> None:
    """Multiply all but the diagonal of a matrix [d, d] by alpha, in place."""
    rest = (1 - alpha) * gram.diagonal()
    gram *= alpha
    gram.diagonal().add_(rest)


def samples(given: Given, n_images: int) -> dict[str, Tensor]:
    """Train images of each task, drawn without replacement in the order of the tasks' names.

    Returns:
        Task -> inputs [n, ...], where n is `n_images`, or all there are.
    """
    found = {}
    for task in sorted(given.tasks):
        inputs = given.images(task, "train")
        order = torch.randperm(len(inputs), generator=given.generator)
        found[task] = inputs[order[:n_images]]
    return found
