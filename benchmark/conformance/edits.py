"""Running a method where its result is looked at: a valid edit, and when two edits are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.conformance.finding import UnmetError
from taskmark.contract.edit import Edit

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark.contract.given import Given
    from taskmark.contract.method import Method

SAME_UP_TO_ROUNDING = 1e-3  # relative to the larger result; learning amplifies rounding


def edited(instance: Method, given: Given) -> Edit:
    """Edit, and return a checked copy of the result.

    Raises:
        UnmetError: if the result is no Edit, or on another device than what was given.
        TaskmarkError: if its tensors are not of the agreed form, or not finite.
    """
    device = given.task_vectors.device
    edit = instance.edit(given)
    if not isinstance(edit, Edit):
        raise UnmetError(
            f"edit() returns a {type(edit).__name__}; return a taskmark.Edit, or override merge() "
            "alone."
        )
    checked = edit.checked(given.space.size, given.heads)
    masks = (mask.kept for mask in edit.masks.values())
    for vector in (edit.vector, *edit.per_task.values(), *masks):
        if vector.device != device:
            raise UnmetError(
                f"It returns a vector on {vector.device} where it was given one on {device}; make "
                "new tensors with device=given.task_vectors.device."
            )
    return checked


def same(one: Edit, other: Edit, *, tolerance: float = 0.0) -> bool:
    """Whether all parts of two edits differ by no more than a share of the longer of the two."""
    if one.heads.keys() != other.heads.keys() or set(one.served_apart) != set(other.served_apart):
        return False
    pairs = [(one.vector, other.vector)]
    pairs += [(vector, other.for_task(task)) for task, vector in one.own_vectors()]
    for task in one.heads:
        pairs.append((one.heads[task].weight, other.heads[task].weight))
        pairs.append((one.heads[task].bias, other.heads[task].bias))
    return all(_near(a, b, tolerance) for a, b in pairs)


def _near(one: Tensor, other: Tensor, tolerance: float) -> bool:
    longer = max(float(one.norm()), float(other.norm()))
    return float((one - other).norm()) <= tolerance * longer
