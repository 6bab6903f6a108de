"""What a method is handed: weights, of a suite's run or of models at hand, and permitted data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from taskmark.contract.allocation import empty
from taskmark.contract.data_access import DataAccess, PermittedData, PermittedSplit
from taskmark.contract.foreign_weights import (
    FLOAT32_ROUNDOFF,
    check_finite,
    named_tensors,
    plain_numbers,
    unit_roundoff,
    weights_of,
)
from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from taskmark.contract.data_access import Features, GramMatrices
    from taskmark.contract.head import Head

__all__ = ["Given", "PermittedData", "PermittedSplit"]

Model = nn.Module | Mapping[str, Tensor]  # a state dict, if it is no module
_ONE = (nn.Module, Mapping, Tensor, str)  # what can be run through and is no list of models


class Given(DataAccess):
    """The pre-trained weights, the task vectors, and what the track allows beside them.

    Attributes:
        pretrained: theta0, [P], float32.
        task_vectors: tau_t = theta_t - theta0, one row a task, [T, P], float32.
        space: the names, slices and shapes of the parts.
        tasks: T names, in the order of the rows.
        recipe: how the experts were tuned and how weights are read.
        generator: the source of randomness, seeded by the harness.
        heads: the suite's frozen head of each task.
        kept: what of the pre-trained model is no weight and stays as it is, by name: buffers,
            integers, and the running statistics of batch normalisation. A model that has some of
            these needs them measured anew after merging.
        precision: unit roundoff of the numbers that the weights were stored in: theta_t, and with
            it tau_t, may be off by this times |theta_t|; that of float32 where not said.
    """

    def __init__(
        self,
        *,
        pretrained: Tensor,
        task_vectors: Tensor,
        space: WeightSpace,
        tasks: Sequence[str],
        recipe: str = "standard",
        track: str = "weights",
        seed: int = 0,
        heads: Mapping[str, Head] | None = None,
        features: Features | None = None,
        gram_matrices: GramMatrices | None = None,
        data: PermittedData | None = None,
        gradient_budget: int = 0,
        kept: Mapping[str, Tensor] | None = None,
        precision: float = FLOAT32_ROUNDOFF,
    ) -> None:
        super().__init__(
            tasks=tasks,
            track=track,
            heads=heads,
            features=features,
            gram_matrices=gram_matrices,
            data=data,
            gradient_budget=gradient_budget,
        )
        self.pretrained = pretrained
        self.task_vectors = task_vectors
        self.space = space
        self.recipe = recipe
        self.generator = torch.Generator().manual_seed(seed)
        self.kept = dict(kept or {})
        self.precision = precision

    @classmethod
    def of_weights(
        cls,
        pretrained: Tensor,
        task_vectors: Tensor,
        space: WeightSpace,
        *,
        tasks: Iterable[str] | None = None,
        recipe: str = "standard",
        seed: int = 0,
    ) -> Given:
        """Give flat vectors alone, for use as a library without any suite.

        Args:
            pretrained: theta0, [P]; no gradient flows into it, nor into the task vectors.
            task_vectors: one row a task, [T, P].
            space: the layout, with `space.size == P`.
            tasks: T names; "task_1", "task_2" ... where not said.
            recipe: how the experts were tuned, see `taskmark.contract.recipe`.
            seed: of the generator that stochastic methods draw from.

        Raises:
            TaskmarkError: if the shapes do not fit together, or a value is no finite number.
        """
        start = plain_numbers(pretrained, "the pre-trained vector")
        vectors = plain_numbers(task_vectors, "the tensor of task vectors")
        size = space.size
        if tuple(start.shape) != (size,):
            raise TaskmarkError(
                f"The pre-trained vector has the shape {tuple(start.shape)}, but the weight "
                f"space has {size} numbers; flatten the model with space.flatten(state_dict)."
            )
        if vectors.ndim != 2 or vectors.shape[1] != size or not len(vectors):  # noqa: PLR2004
            raise TaskmarkError(
                f"The task vectors have the shape {tuple(vectors.shape)}; "
                f"stack at least one of them to (T, {size})."
            )
        names = _names(tasks, len(vectors))
        start, vectors = start.float(), vectors.float()
        _check_finite(start, space, "the pre-trained vector")
        for name, vector in zip(names, vectors, strict=True):
            _check_finite(vector, space, f"the task vector of {name!r}")
        return cls(
            pretrained=start,
            task_vectors=vectors,
            space=space,
            tasks=names,
            recipe=recipe,
            seed=seed,
        )

    @classmethod
    def of_models(
        cls,
        pretrained: Model,
        experts: Iterable[Model],
        *,
        tasks: Iterable[str] | None = None,
        recipe: str = "standard",
        seed: int = 0,
        ignore: Sequence[str] = (),
    ) -> Given:
        """Give the weights of models, for use as a library without any suite.

        `given.state_dict(merged)` is the merged model. What counts as a weight, and under which
        names experts are understood, is documented in `taskmark.contract.foreign_weights`.

        Args:
            pretrained: the model before tuning, a module or a state dict; its order is the layout.
            experts: the tuned model of each task, likewise.
            tasks: T names; "task_1", "task_2" ... where not said.
            recipe: how the experts were tuned, see `taskmark.contract.recipe`.
            seed: of the generator that stochastic methods draw from.
            ignore: patterns of names that experts may have beyond the pre-trained model's and that
                are not used, such as "lm_head.*"; all others are refused.

        Raises:
            TaskmarkError: if an expert lacks a tensor, has one more, or one of another shape or
                kind, or if a value is not finite in float32.
        """
        if isinstance(experts, _ONE) or not isinstance(experts, Iterable):
            raise TaskmarkError(
                f"The experts are one {type(experts).__name__}; give a list of models, one a task."
            )
        base, space = weights_of(pretrained, "the pre-trained model"), WeightSpace.of(pretrained)
        models = experts if isinstance(experts, Sequence) else list(experts)
        names = _names(tasks, len(models))
        start = space.flatten(base.tensors)
        _check_finite(start, space, "the pre-trained model")
        vectors = empty(len(models), space.size)
        precision = unit_roundoff(tensor.dtype for tensor in base.tensors.values())
        for name, row, model in zip(names, vectors, models, strict=True):
            what = f"the expert {name!r}"
            tensors = named_tensors(model, what)
            fit = space.fit(tensors, what=what, kept=base.kept, ignore=ignore)
            space.flatten(fit, out=row).sub_(start)
            precision = max(precision, unit_roundoff(tensor.dtype for tensor in fit.values()))
            _check_finite(row, space, what)
        return cls(
            pretrained=start,
            task_vectors=vectors,
            space=space,
            tasks=names,
            recipe=recipe,
            seed=seed,
            kept=base.kept,
            precision=precision,
        )

    def state_dict(self, vector: Tensor) -> dict[str, Tensor]:
        """The model theta0 + vector by name, whole: in the dtypes and under all names of theta0.

        With what is no weight, `kept`, as it is in the pre-trained model.

        Args:
            vector: a task vector [P], scaled as it is to be used.

        Raises:
            TaskmarkError: if a number is beyond the range of its dtype.
        """
        weights = self.space.unflatten(self.pretrained + vector, own_dtypes=True)
        return {**self.kept, **weights}


def _names(tasks: Iterable[str] | None, n_tasks: int) -> tuple[str, ...]:
    """One name a task, each its own."""
    if not n_tasks:
        raise TaskmarkError("There is no task vector; give at least one, or one tuned model.")
    if tasks is None:
        return tuple(f"task_{number}" for number in range(1, n_tasks + 1))
    names = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    if len(names) != n_tasks or len(set(names)) != n_tasks:
        raise TaskmarkError(
            f"There are {n_tasks} task vectors but {len(set(names))} names ({', '.join(names)}); "
            "give each vector a name of its own."
        )
    return names


def _check_finite(vector: Tensor, space: WeightSpace, what: str) -> None:
    # A sum reads the numbers once and writes nothing. It shows every NaN and infinity; that it can
    # also overflow is why a sum that is not finite is looked into.
    if not torch.isfinite(vector.sum()):
        check_finite(space.views(vector), what)
