"""What a method returns: one merged task vector, and, where it says so, more than that."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor, nn

from taskmark.contract.head import Head, TaskHead
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Mask:
    """What reads one task's vector out of the merged one: factor * kept * vector.

    Attributes:
        kept: which entries of the merged vector serve the task, [P], bool.
        factor: what they are multiplied by.
    """

    kept: Tensor  # [P]
    factor: float = 1.0

    def apply(self, vector: Tensor) -> Tensor:
        """The task's vector, [P] -> [P]."""
        return (vector * self.kept).mul_(self.factor)


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited model: theta0 + scale * vector, with the suite's heads unless it brings its own.

    An edit with vectors or masks of single tasks is not one merged model: the task must be known
    at inference before there are weights. Its storage is counted.

    Attributes:
        vector: the merged task vector [P].
        heads: the method's own heads by task, used instead of the suite's.
        per_task: a task's own vector [P], used instead of `vector`.
        masks: a mask of `vector` for a task, used instead of `vector` as it is. It is stored at a
            bit an entry, where a vector of the task's own takes 32.
        linearised_at: a, the task vector [P] of the weights at which a recipe that reads the
            linearised model takes it: f(x; theta0 + a) + J(x; theta0 + a) (scale * vector - a).
            None is theta0, as of all methods but those that linearise anew.
    """

    vector: Tensor  # [P]
    heads: Mapping[str, Head] = field(default_factory=lambda: MappingProxyType({}))
    per_task: Mapping[str, Tensor] = field(default_factory=lambda: MappingProxyType({}))
    masks: Mapping[str, Mask] = field(default_factory=lambda: MappingProxyType({}))
    linearised_at: Tensor | None = None  # [P]

    @property
    def tasks_with_own_weights(self) -> tuple[str, ...]:
        """The tasks that have weights of their own."""
        return (*self.per_task, *self.masks)

    @property
    def one_model(self) -> bool:
        """Whether the same weights serve all tasks, each under its head."""
        return not self.tasks_with_own_weights

    @property
    def extra_parameters(self) -> int:
        """Numbers stored in addition to one model.

        With masks, theta0 has to be kept beside the vector that they are read from, and one factor
        a task.
        """
        masked = self.vector.numel() + len(self.masks) if self.masks else 0
        return (
            masked
            + sum(head.size for head in self.heads.values())
            + sum(vector.numel() for vector in self.per_task.values())
        )

    @property
    def extra_bytes(self) -> int:
        """Bytes stored in addition to one model: four a number, and each mask at a bit an entry."""
        of_masks = sum(math.ceil(mask.kept.numel() / 8) for mask in self.masks.values())
        return 4 * self.extra_parameters + of_masks

    def for_task(self, task: str) -> Tensor:
        """The task vector that serves one task, [P]."""
        if task in self.masks:
            return self.masks[task].apply(self.vector)
        return self.per_task.get(task, self.vector)

    def own_vectors(self) -> Iterator[tuple[str, Tensor]]:
        """Each task that has weights of its own with its vector [P], one at a time."""
        return ((task, self.for_task(task)) for task in self.tasks_with_own_weights)

    def checked(self, size: int, heads: Mapping[str, TaskHead]) -> Edit:
        """Return a float32 copy on the CPU that shares no memory with the method.

        Args:
            size: P.
            heads: the suite's head of each task that heads, per-task vectors and masks may name.

        Raises:
            TaskmarkError: if a vector is no float32 tensor [P], a mask no bool tensor [P], if a
                head has not the shapes of the suite's, if a number is not finite, if a task has
                both a vector and a mask, or if a task is not the suite's.
        """
        for task in [*self.heads, *self.tasks_with_own_weights]:
            if task not in heads:
                raise TaskmarkError(
                    f"The edit names the task {task!r}, which was not given; "
                    f"the tasks are {', '.join(heads)}."
                )
        own = {task: _head(head, heads[task], task) for task, head in self.heads.items()}
        vectors = {
            task: _vector(vector, size, f"the vector for the task {task!r}")
            for task, vector in self.per_task.items()
        }
        for task in self.per_task.keys() & self.masks.keys():
            raise TaskmarkError(
                f"The task {task!r} has both a vector of its own and a mask; return one of them."
            )
        masks = {task: _mask(mask, size, task) for task, mask in self.masks.items()}
        at = self.linearised_at
        if at is not None:
            at = _vector(at, size, "the vector that the model is linearised at")
        return Edit(_vector(self.vector, size, "the merged task vector"), own, vectors, masks, at)


def _head(value: object, suites: TaskHead, task: str) -> Head:
    if not isinstance(suites, Head):
        raise TaskmarkError(
            f"The head of the task {task!r} has no weights to replace; return no head for it."
        )
    if not isinstance(value, Head):
        raise TaskmarkError(
            f"The head of the task {task!r} is a {type(value).__name__}; return a taskmark.Head."
        )
    weight, bias = value.weight, value.bias
    if not (_is_plain(weight) and _is_plain(bias)):
        raise TaskmarkError(
            f"The head of the task {task!r} must hold a weight and a bias that are torch tensors."
        )
    if weight.shape != suites.weight.shape or bias.shape != suites.bias.shape:
        raise TaskmarkError(
            f"The head of the task {task!r} has a weight of the shape {tuple(weight.shape)} and a "
            f"bias of the shape {tuple(bias.shape)}; return {tuple(suites.weight.shape)} and "
            f"{tuple(suites.bias.shape)}, as given.heads[{task!r}] has."
        )
    if not bool(torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise TaskmarkError(
            f"The head of the task {task!r} holds NaN or infinite values; return finite numbers."
        )
    return Head(_copied(weight), _copied(bias), bool(value.normalise))


def _mask(value: object, size: int, task: str) -> Mask:
    if not isinstance(value, Mask):
        raise TaskmarkError(
            f"The mask of the task {task!r} is a {type(value).__name__}; return a taskmark.Mask."
        )
    kept, factor = value.kept, value.factor
    if not _is_plain(kept) or kept.dtype != torch.bool or tuple(kept.shape) != (size,):
        found = (
            f"{kept.dtype} of the shape {tuple(kept.shape)}"
            if isinstance(kept, Tensor)
            else type(kept).__name__
        )
        raise TaskmarkError(
            f"What the mask of the task {task!r} keeps is {found}; return a bool tensor ({size},)."
        )
    if not isinstance(factor, int | float) or not math.isfinite(factor):
        raise TaskmarkError(
            f"The factor of the mask of the task {task!r} is {factor!r}; return a finite number."
        )
    return Mask(kept.detach().to("cpu", copy=True).contiguous(), float(factor))


def _vector(value: object, size: int, what: str) -> Tensor:
    if not _is_plain(value):
        raise TaskmarkError(
            f"{what[0].upper()}{what[1:]} is a {type(value).__name__}; return a torch tensor [P]."
        )
    if tuple(value.shape) != (size,):
        raise TaskmarkError(
            f"{what[0].upper()}{what[1:]} has the shape {tuple(value.shape)}; "
            f"return one flat vector ({size},), as long as given.pretrained."
        )
    if value.dtype != torch.float32:
        raise TaskmarkError(
            f"{what[0].upper()}{what[1:]} is {value.dtype}; "
            "return torch.float32, as given.task_vectors is."
        )
    if not bool(torch.isfinite(value).all()):
        raise TaskmarkError(
            f"{what[0].upper()}{what[1:]} holds NaN or infinite values; return finite numbers."
        )
    return _copied(value)


def _is_plain(value: object) -> TypeGuard[Tensor]:
    # A subclass of Tensor could run the method's code in the middle of the evaluation.
    return type(value) in (Tensor, nn.Parameter)


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
