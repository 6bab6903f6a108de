"""The data that a method's track permits, and a log of what it asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import torch
from torch import Tensor

from taskmark.errors import BudgetSpentError, DataRefusedError, DoesNotApplyError

if TYPE_CHECKING:
    from taskmark.contract.head import Head

PermittedSplit = Literal["train", "validation"]
# (task vector [P], inputs [B, ...], where the model is linearised [P] or None) -> [B, D]
Features = Callable[[Tensor, Tensor, Tensor | None], Tensor]
# (task vector [P], inputs [N, ...], names of parts or None for all) -> name -> [d_in, d_in]
GramMatrices = Callable[[Tensor, Tensor, Sequence[str] | None], dict[str, Tensor]]

_SEE_IMAGES = ("unlabelled", "labelled")  # tracks
_Part = TypeVar("_Part")


class PermittedData(Protocol):
    """Train and validation data of the tasks; a test split cannot be named here."""

    def inputs(self, task: str, split: PermittedSplit) -> Tensor:
        """Inputs of the encoder, [N, ...]."""

    def labels(self, task: str, split: PermittedSplit) -> Tensor:
        """Class indices, [N], int64."""


class DataAccess:
    """Hands out what the track allows, and counts it.

    Attributes:
        tasks: T names.
        heads: the suite's frozen head of each task.
    """

    def __init__(
        self,
        *,
        tasks: Sequence[str],
        track: str,
        heads: Mapping[str, Head] | None,
        features: Features | None,
        gram_matrices: GramMatrices | None,
        data: PermittedData | None,
        gradient_budget: int,
    ) -> None:
        self.tasks = tuple(tasks)
        self.heads = dict(heads or {})
        self._touched: dict[str, int] = {}
        self._gradient_images = 0
        self._forward_images = 0
        self._track = track
        self._features = features
        self._gram_matrices = gram_matrices
        self._data = data
        self._gradient_budget = gradient_budget

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
        data = self._permitted(task, split, _SEE_IMAGES, "images")
        inputs = data.inputs(task, split)
        self._touched[f"{task}/{split}/images"] = len(inputs)
        return inputs

    def labels(self, task: str, split: PermittedSplit = "validation") -> Tensor:
        """Class indices of one task, [N].

        Raises:
            DataRefusedError: if the track is not "labelled", the split is not permitted, or there
                is no suite behind this.
        """
        data = self._permitted(task, split, ("labelled",), "labels")
        labels = data.labels(task, split)
        self._touched[f"{task}/{split}/labels"] = len(labels)
        return labels

    def features(
        self, vector: Tensor, inputs: Tensor, *, linearised_at: Tensor | None = None
    ) -> Tensor:
        """Features [B, D] of theta0 + vector, read as the recipe says; differentiable in vector.

        Args:
            vector: a task vector [P].
            inputs: a batch of what `images` returned, [B, ...].
            linearised_at: see `Edit`; theta0 where not said.

        Raises:
            DataRefusedError: if the track is "weights" or there is no suite behind this.
            TaskmarkError: if `linearised_at` is given and the recipe linearises nothing.
            BudgetSpentError: if gradients are taken for more images than the suite grants.
        """
        features = self._of_suite(self._features, "it has no model to run")
        self._check_track(_SEE_IMAGES, "features of inputs")
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
        return features(vector, inputs, linearised_at)

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
        gram_matrices = self._of_suite(self._gram_matrices, "it has no layers to look into")
        self._check_track(_SEE_IMAGES, "Gram matrices of layer inputs")
        found = gram_matrices(vector, inputs, parts)
        self._forward_images += len(inputs)
        return found

    def logits(self, vector: Tensor, task: str, inputs: Tensor) -> Tensor:
        """Logits [B, C] of theta0 + vector under the suite's head of the task.

        Raises:
            DoesNotApplyError: if the task's head is not linear.
        """
        features, head = self.features(vector, inputs), self.heads[task]
        if not hasattr(head, "logits"):
            raise DoesNotApplyError(
                f"The task {task!r} has no linear head, so there are no logits of classes; "
                "use given.features, whose rows are what its head is given."
            )
        return head.to(features.device).logits(features)

    def _of_suite(self, part: _Part | None, lack: str) -> _Part:
        if part is None:
            raise DataRefusedError(
                f"This Given holds weights alone, so {lack}; "
                "run the method on a suite with `taskmark run`."
            )
        return part

    def _check_track(self, tracks: Sequence[str], what: str) -> None:
        """Refuse what the track does not allow, whatever the inputs: they may be made up."""
        if self._track not in tracks:
            raise DataRefusedError(
                f"The track {self._track!r} does not allow {what}; "
                f"declare track = {tracks[0]!r} to use them."
            )

    def _permitted(self, task: str, split: str, tracks: Sequence[str], what: str) -> PermittedData:
        data = self._of_suite(self._data, f"there are no {what}")
        self._check_track(tracks, f"{what} (of {task}/{split})")
        if split not in ("train", "validation"):
            raise DataRefusedError(
                f"The split {split!r} of {task!r} is not for methods; use 'train' or 'validation'."
            )
        if task not in self.tasks:
            raise DataRefusedError(
                f"The task {task!r} was not given; the tasks are {', '.join(self.tasks)}."
            )
        return data
