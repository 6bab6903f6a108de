"""Whether a faster precision leaves accuracies where they are, as far as the images can tell."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from taskmark.statistics.intervals import proportion_interval
from taskmark.statistics.uncertainty import LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

_Z = NormalDist().inv_cdf(1 - LEVEL / 2)  # standard errors


def describe_lost_accuracy(
    exact: Mapping[str, NDArray[np.bool_]], fast: Mapping[str, NDArray[np.bool_]]
) -> str | None:
    """Say which accuracy a faster precision moves beyond noise; None where it moves none.

    Noise is what a board shows: the 95 % interval, over images, of a task's accuracy, and that of
    the mean over tasks. Both precisions read the same images, so chance alone moves an accuracy by
    a small part of it.

    Args:
        exact: which images of each task are right in float32, [N] each.
        fast: likewise in the faster precision.

    Returns:
        The part of a sentence.
    """
    changes, errors = [], []
    for task, right in exact.items():
        n, n_correct = len(right), int(right.sum())
        before, after = n_correct / n, float(fast[task].mean())
        low, high = proportion_interval(n_correct, n)
        if not low <= after <= high:
            return f"the accuracy of {task} on validation from {before:.1%} to {after:.1%}"
        changes.append(after - before)
        errors.append((high - low) / (2 * _Z))
    mean, error = math.fsum(changes) / len(changes), math.hypot(*errors) / len(errors)
    if abs(mean) > _Z * error:
        return f"the mean accuracy on validation by {100 * mean:+.2f} points"
    return None
