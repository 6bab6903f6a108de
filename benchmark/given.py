"""What a method is handed: weights, and the data that its track permits, with a log of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor

from taskmark.errors import BudgetSpentError, DataRefusedError, TaskmarkError

if TYPE_CHECKING:
    from taskmark.head import Head
    from taskmark.weights import WeightSpace

PermittedSplit = Literal["train", "validation"]
Features = Callable[[Tensor, Tensor], Tensor]  # (task vector [P], inputs [B, ...]) -> [B, D]


class PermittedData(Protocol):
    """Train and validation data of the tasks; a test split cannot be named here."""

    def inputs(self, task: str, split: PermittedSplit) -> Tensor:
        """Inputs of the encoder, [N, ...]."""

    def labels(self, task: str, split: PermittedSplit) -> Tensor:
        """Class indices, [N], int64."""


class Given:
    """The pre-trained weights, the task vectors, and what the track allows beside them.

    Attributes:
        pretrained: theta0, [P], float32.
        task_vectors: tau_t = theta_t - theta0, one row a task, [T, P], float32.
        space: the names, slices and shapes of the parts.
        tasks: T names, in the order of the rows.
        recipe: how the experts were tuned and how weights are read.
        generator: the source of randomness, seeded by the harness.
        heads: the suite's frozen head of each task.
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
        data: PermittedData | None = None,
        gradient_budget: int = 0,
    ) -> None:
        self.pretrained = pretrained
        self.task_vectors = task_vectors
        self.space = space
        self.tasks = tuple(tasks)
        self.recipe = recipe
        self.generator = torch.Generator().manual_seed(seed)
        self.heads = dict(heads or {})
        self._touched: dict[str, int] = {}
        self._gradient_images = 0
        self._forward_images = 0
        self._track = track
        self._features = features
        self._data = data
        self._gradient_budget = gradient_budget

    @classmethod
    def of_weights(
        cls,
        pretrained: Tensor,
        task_vectors: Tensor,
        space: WeightSpace,
        *,
        tasks: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Given:
        """Give weights alone, for use as a library without any suite.

        Args:
            pretrained: theta0, [P].
            task_vectors: one row a task, [T, P].
            space: the layout, with `space.size == P`.
            tasks: T names; "task_1", "task_2" ... where not said.
            seed: of the generator that stochastic methods draw from.

        Raises:
            TaskmarkError: if the shapes do not fit together or a value is not finite.
        """
        size = space.size
        if tuple(pretrained.shape) != (size,):
            raise TaskmarkError(
                f"The pre-trained vector has the shape {tuple(pretrained.shape)}, but the weight "
                f"space has {size} numbers; flatten the model with space.flatten(state_dict)."
            )
        if task_vectors.ndim != 2 or task_vectors.shape[1] != size or not len(task_vectors):  # noqa: PLR2004
            raise TaskmarkError(
                f"The task vectors have the shape {tuple(task_vectors.shape)}; "
                f"stack at least one of them to (T, {size})."
            )
        for what, tensor in (("pre-trained vector", pretrained), ("task vectors", task_vectors)):
            if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
                raise TaskmarkError(
                    f"The {what} must hold finite floating-point numbers; "
                    "check the checkpoint that it came from."
                )
        names = tasks if tasks is not None else [f"task_{i + 1}" for i in range(len(task_vectors))]
        if len(names) != len(task_vectors):
            raise TaskmarkError(
                f"There are {len(task_vectors)} task vectors but {len(names)} names; "
                "give one name a vector."
            )
        return cls(
            pretrained=pretrained.float(),
            task_vectors=task_vectors.float(),
            space=space,
            tasks=names,
            seed=seed,
        )

    @property
    def touched(self) -> dict[str, int]:
        """What was asked for, "task/split/images" or ".../labels" -> number of images."""
        return dict(self._touched)

    @property
    def gradient_images(self) -> int:
        """Images passed forward and backward so far."""
        return self._gradient_images

    @property
    def forward_images(self) -> int:
        """Images passed forward only, so far."""
        return self._forward_images

    @property
    def gradient_images_left(self) -> int:
        """How many more images the suite lets this method pass backward."""
        return self._gradient_budget - self.gradient_images

    def images(self, task: str, split: PermittedSplit = "validation") -> Tensor:
        """Inputs of the encoder for one task, [N, ...]; what a frozen stem makes of the images.

        Raises:
            DataRefusedError: if the track is "weights", the split is not permitted, or there is
                no suite behind this.
        """
        data = self._permitted(task, split, {"unlabelled", "labelled"}, "images")
        inputs = data.inputs(task, split)
        self._touched[f"{task}/{split}/images"] = len(inputs)
        return inputs

    def labels(self, task: str, split: PermittedSplit = "validation") -> Tensor:
        """Class indices of one task, [N].

        Raises:
            DataRefusedError: if the track is not "labelled", the split is not permitted, or there
                is no suite behind this.
        """
        data = self._permitted(task, split, {"labelled"}, "labels")
        labels = data.labels(task, split)
        self._touched[f"{task}/{split}/labels"] = len(labels)
        return labels

    def features(self, vector: Tensor, inputs: Tensor) -> Tensor:
        """Features [B, D] of theta0 + vector, read as the recipe says; differentiable in vector.

        A plug-in's features are made by the run, in another process: for it they are on the
        vector's device, and can be differentiated once, in reverse.

        Args:
            vector: a task vector [P].
            inputs: a batch of what `images` returned, [B, ...].

        Raises:
            DataRefusedError: if there is no suite behind this.
            BudgetSpentError: if gradients are taken for more images than the suite grants.
        """
        if self._features is None:
            raise DataRefusedError(
                "This Given holds weights alone, so it has no model to run; "
                "run the method on a suite with `taskmark run`."
            )
        if torch.is_grad_enabled() and (vector.requires_grad or inputs.requires_grad):
            if len(inputs) > self.gradient_images_left:
                raise BudgetSpentError(
                    f"The suite grants {self._gradient_budget} gradient images and "
                    f"{self.gradient_images} are spent; stop when given.gradient_images_left is "
                    "smaller than the batch."
                )
            self._gradient_images += len(inputs)
        else:
            self._forward_images += len(inputs)
        return self._features(vector, inputs)

    def logits(self, vector: Tensor, task: str, inputs: Tensor) -> Tensor:
        """Logits [B, C] of theta0 + vector under the suite's head of the task."""
        return self.heads[task].logits(self.features(vector, inputs))

    def _permitted(self, task: str, split: str, tracks: set[str], what: str) -> PermittedData:
        if self._data is None:
            raise DataRefusedError(
                f"This Given holds weights alone, so there are no {what}; "
                "run the method on a suite with `taskmark run`."
            )
        if self._track not in tracks:
            raise DataRefusedError(
                f"The track {self._track!r} does not allow {what} (of {task}/{split}); "
                f"declare track = {max(tracks)!r} to use them."
            )
        if split not in ("train", "validation"):
            raise DataRefusedError(
                f"The split {split!r} of {task!r} is not for methods; use 'train' or 'validation'."
            )
        if task not in self.tasks:
            raise DataRefusedError(
                f"The task {task!r} was not given; the tasks are {', '.join(self.tasks)}."
            )
        return self._data
