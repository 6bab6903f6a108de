"""Running a method where its result is looked at: a valid edit, and when two edits are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.conformance.finding import UnmetError
from taskmark.contract.edit import Edit

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from taskmark.contract.given import Given
    from taskmark.contract.method import Method

_ROUNDING = 1e-3  # relative to the terms of a result; learning amplifies rounding


def edit_checked(instance: Method, given: Given) -> Edit:
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
    elsewhere = [] if edit.linearised_at is None else [edit.linearised_at]
    for vector in (edit.vector, *edit.per_task.values(), *masks, *elsewhere):
        if vector.device != device:
            raise UnmetError(
                f"It returns a vector on {vector.device} where it was given one on {device}; make "
                "new tensors with device=given.task_vectors.device."
            )
    return checked


def same(one: Edit, other: Edit, *, terms: Callable[[], Edit]) -> bool:
    """Whether all parts of two edits differ by no more than rounding.

    Equal bits are no measure: a library of another processor adds up in another order. Nor is the
    result alone, since its terms may cancel and leave rounding.

    Args:
        one: an edit.
        other: the edit that should be the same.
        terms: makes an edit as large as the terms that both are made of, see `edit_magnitudes`.
    """
    if _layout(one) != _layout(other):
        return False
    return _near(one, other, one) or _near(one, other, terms())


def edit_magnitudes(method: type[Method], given: Given) -> Edit:
    """What a method makes of the task vectors' magnitudes, where no terms cancel."""
    given.task_vectors = given.task_vectors.abs()
    return edit_checked(method(), given)


def small_beside(tensor: Tensor, terms: Tensor) -> bool:
    """Whether a tensor is no more than the rounding of terms of this size."""
    return float(tensor.norm()) <= _ROUNDING * float(terms.norm())


def _layout(edit: Edit) -> tuple[set[str], set[str], bool]:
    own = edit.tasks_with_own_weights
    return set(edit.heads), set(own), edit.linearised_at is None


def _near(one: Edit, other: Edit, terms: Edit) -> bool:
    trios = zip(_parts(one, one), _parts(other, one), _parts(terms, one), strict=True)
    return all(small_beside(a - b, size) for a, b, size in trios)


def _parts(edit: Edit, like: Edit) -> list[Tensor]:
    heads = [edit.heads[task] for task in like.heads]
    return [
        edit.vector,
        *([] if edit.linearised_at is None else [edit.linearised_at]),
        *(edit.for_task(task) for task in like.tasks_with_own_weights),
        *(tensor for head in heads for tensor in (head.weight, head.bias)),
    ]
