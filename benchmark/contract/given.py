"""What a method is handed: weights, and the data that its track permits, with a log of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor

from taskmark.contract.allocation import empty
from taskmark.contract.weights import WeightSpace
from taskmark.errors import BudgetSpentError, DataRefusedError, TaskmarkError

if TYPE_CHECKING:
    from taskmark.contract.head import Head

PermittedSplit = Literal["train", "validation"]
Features = Callable[[Tensor, Tensor], Tensor]  # (task vector [P], inputs [B, ...]) -> [B, D]
# (task vector [P], inputs [N, ...], names of parts or None for all) -> name -> [d_in, d_in]
GramMatrices = Callable[[Tensor, Tensor, Sequence[str] | None], dict[str, Tensor]]


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
        gram_matrices: GramMatrices | None = None,
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
        self._gram_matrices = gram_matrices
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
            pretrained: theta0, [P]; no gradient flows into it, nor into the task vectors.
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
            if not tensor.is_floating_point() or not _all_finite(tensor):
                raise TaskmarkError(
                    f"The {what} must hold finite floating-point numbers; "
                    "check the checkpoint that it came from."
                )
        names = tasks if tasks is not None else _numbered(len(task_vectors))
        if len(names) != len(task_vectors):
            raise TaskmarkError(
                f"There are {len(task_vectors)} task vectors but {len(names)} names; "
                "give one name a vector."
            )
        return cls(
            pretrained=pretrained.detach().float(),
            task_vectors=task_vectors.detach().float(),
            space=space,
            tasks=names,
            seed=seed,
        )

    @classmethod
    def of_models(
        cls,
        pretrained: Mapping[str, Tensor],
        experts: Sequence[Mapping[str, Tensor]],
        *,
        tasks: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Given:
        """Give the weights of models, as state dicts, for use as a library without any suite.

        `given.space.unflatten(given.pretrained + merged)` is the merged state dict. Tensors that
        hold no floating-point numbers, such as counters, are left out.

        Args:
            pretrained: theta0 by name; its order is the layout.
            experts: the tuned weights of each task, with the same names and shapes.
            tasks: T names; "task_1", "task_2" ... where not said.
            seed: of the generator that stochastic methods draw from.

        Raises:
            TaskmarkError: if an expert lacks a tensor, has it in another shape, or a value is not
                finite.
        """
        space = WeightSpace.of(pretrained)
        start = space.flatten(pretrained)
        vectors = empty(len(experts), space.size)
        for row, expert in zip(vectors, experts, strict=True):
            space.flatten(expert, out=row).sub_(start)
        return cls.of_weights(start, vectors, space, tasks=tasks, seed=seed)

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

        Args:
            vector: a task vector [P].
            inputs: a batch of what `images` returned, [B, ...].

        Raises:
            DataRefusedError: if the track is "weights" or there is no suite behind this.
            BudgetSpentError: if gradients are taken for more images than the suite grants.
        """
        if self._features is None:
            raise DataRefusedError(
                "This Given holds weights alone, so it has no model to run; "
                "run the method on a suite with `taskmark run`."
            )
        self._check_sees_images("features of inputs")
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

    def gram_matrices(
        self, vector: Tensor, inputs: Tensor, parts: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Gram matrices X^T X of what reaches each linear layer of theta0 + vector.

        X has a row for each image and, where a layer sees several, for each token. The matrices are
        handed out in place of X, which is larger by the number of rows over d_in; they are all that
        a least-squares problem needs.

        Layers are those of `nn.Linear`; a projection inside a fused module, such as
        `nn.MultiheadAttention`, is not seen. Passes are forward only, and count as such.

        Args:
            vector: a task vector [P].
            inputs: what `images` returned, or some of it, [N, ...].
            parts: names of the weights that are asked for, all where not said.

        Returns:
            Name of the weight, as in `space` -> [d_in, d_in], float64, on the vector's device, in
            the order in which the layers run.

        Raises:
            DataRefusedError: if the track is "weights" or there is no suite behind this.
            TaskmarkError: if the recipe reads a linearised model, or a part is no such weight.
        """
        if self._gram_matrices is None:
            raise DataRefusedError(
                "This Given holds weights alone, so it has no layers to look into; "
                "run the method on a suite with `taskmark run`."
            )
        self._check_sees_images("Gram matrices of layer inputs")
        found = self._gram_matrices(vector, inputs, parts)
        self._forward_images += len(inputs)
        return found

    def logits(self, vector: Tensor, task: str, inputs: Tensor) -> Tensor:
        """Logits [B, C] of theta0 + vector under the suite's head of the task."""
        features = self.features(vector, inputs)
        return self.heads[task].to(features.device).logits(features)

    def _check_sees_images(self, what: str) -> None:
        """Refuse a method on weights alone, whatever the inputs: they may be made up or its own."""
        if self._track not in {"unlabelled", "labelled"}:
            raise DataRefusedError(
                f"The track {self._track!r} does not allow {what}; "
                "declare track = 'unlabelled' to use them."
            )

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


def _numbered(n_tasks: int) -> list[str]:
    return [f"task_{number}" for number in range(1, n_tasks + 1)]


def _all_finite(tensor: Tensor) -> bool:
    # A sum reads the numbers once and writes nothing. It shows every NaN and infinity; that it can
    # also overflow is why a sum that is not finite is looked into.
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())
