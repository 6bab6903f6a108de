"""Linear probing: a multinomial logistic regression on frozen features."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskmark.contract.head import Head
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression
    from torch import Tensor

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""The default grid of C, scikit-learn's inverse weight of the L2 penalty."""

_ABSENT_BIAS = -1e4  # finite, and far below any logit that a fitted class reaches
_ITERATIONS = 1000
_TOLERANCE = 1e-4  # on the largest entry of the gradient


def probe(
    train_features: Tensor,
    train_labels: Tensor,
    validation_features: Tensor,
    validation_labels: Tensor,
    *,
    n_classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> Head:
    """Fit a linear head on features, its L2 strength chosen on validation.

    Minimises C sum_n CE(y_n, W z_n + b) + ||W||^2 / 2 by L-BFGS, where z are the features
    standardised by the mean and standard deviation of the train split; the standardisation is
    folded into the weight and the bias returned. (Of two classes scikit-learn fits the difference w
    of the rows and penalises ||w||^2 / 2, which is ||W||^2.) For every C of the grid, in rising
    order and each started from the solution before it, the validation accuracy is taken; the
    highest wins, and among equals the smallest C. Nothing is drawn at random.

    A feature that is constant on train gets weight zero. A class without train images gets weight
    zero and a bias so low that it is never predicted.

    Args:
        train_features: [N, D].
        train_labels: class indices in 0 .. n_classes - 1, [N].
        validation_features: [M, D].
        validation_labels: [M].
        n_classes: C, the rows of the head.
        strengths: the grid of C.

    Returns:
        The head, float32, on the CPU, without normalisation of the features.

    Raises:
        TaskmarkError: if the train labels show fewer than two classes, if there are no validation
            images, or if a feature is not finite.
    """
    x = _array(train_features)
    y = train_labels.cpu().numpy()
    _check(x, y, len(validation_labels))
    mean, spread = x.mean(0), x.std(0)
    varies = spread > 1e-6 * np.abs(x).max(initial=1e-12)
    inverse = np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)
    z = (x - mean) * inverse
    z_validation = (_array(validation_features) - mean) * inverse
    y_validation = validation_labels.cpu().numpy()

    best_accuracy = -1.0
    for weight, bias in _path(z, y, n_classes, sorted(strengths)):
        predicted = (z_validation @ weight.T + bias).argmax(1)
        accuracy = float((predicted == y_validation).mean())
        if accuracy > best_accuracy:
            best_accuracy, best = accuracy, (weight, bias)
    weight, bias = best
    folded = weight * inverse  # [C, D]
    return Head(
        torch.from_numpy(folded.astype(np.float32)),
        torch.from_numpy((bias - folded @ mean).astype(np.float32)),
    )


def _path(
    z: NDArray[np.float64], y: NDArray[np.int64], n_classes: int, strengths: Sequence[float]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Fit one weight [C, D] and bias [C] for each strength."""
    # Imported here, since it takes a second that only a probe should pay.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    regression = LogisticRegression(
        solver="lbfgs", warm_start=True, max_iter=_ITERATIONS, tol=_TOLERANCE
    )
    fits = []
    # One thread: such small products lose 20-fold by being shared out on a busy machine.
    with threadpool_limits(1), warnings.catch_warnings():
        # A fit stopped at the limit is one more candidate, and validation judges it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for strength in strengths:
            regression.set_params(C=strength).fit(z, y)
            fits.append(_softmax_form(regression, n_classes))
    return fits


def _softmax_form(
    regression: LogisticRegression, n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The weight [C, D] and bias [C] of a fit, one row for every class of the task."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    present = regression.classes_.astype(int)
    if len(present) == 2:  # noqa: PLR2004 - two classes are fitted as one logit, log p1 / p0
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((n_classes, coefficients.shape[1]))
    bias = np.full(n_classes, _ABSENT_BIAS)
    weight[present], bias[present] = coefficients, intercepts
    return weight, bias


def _array(features: Tensor) -> NDArray[np.float64]:
    return features.detach().to("cpu", torch.float64).numpy()


def _check(x: NDArray[np.float64], y: NDArray[np.int64], n_validation: int) -> None:
    if not np.isfinite(x).all():
        raise TaskmarkError(
            "The features to probe hold NaN or infinite values; check the backbone's weights."
        )
    if len(np.unique(y)) < 2:  # noqa: PLR2004
        raise TaskmarkError(
            f"The {len(y)} train labels show fewer than two classes; a probe needs two or more."
        )
    if not n_validation:
        raise TaskmarkError(
            "There are no validation images to choose the strength on; give at least one."
        )
