"""Heads: what turns a model's outputs for items into answers, and says how wrong they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor


class TaskHead(Protocol):
    """The head of one task. Beyond it nothing knows whether items are images, text or else.

    `outputs` are what the model makes of a batch of items, [B, ...]; `targets` are what the task
    keeps beside each item, [B, ...], such as its class. An item is right if the answer is the gold
    one.
    """

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss that tuning lowers, a scalar that can be differentiated."""

    def predict(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The answers, [B], int64."""

    def gold(self, targets: Tensor) -> Tensor:
        """The right answers, [B], int64."""

    def to(self, device: torch.device | str) -> Self:
        """The same head on another device."""

    def stored(self) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Tensors and JSON values from which `read_head` makes the head again."""


@dataclass(frozen=True, slots=True)
class Head:
    """The linear head: logits of one task from features.

    Attributes:
        weight: [C, D].
        bias: [C].
        normalise: divide each feature vector by its L2 norm first, as zero-shot heads do
            (their weight then holds text embeddings times the logit scale).
    """

    weight: Tensor  # [C, D]
    bias: Tensor  # [C]
    normalise: bool = False

    def logits(self, features: Tensor) -> Tensor:
        """Map features [B, D] to logits [B, C]."""
        if self.normalise:
            features = functional.normalize(features, dim=-1)
        return functional.linear(features, self.weight, self.bias)

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The cross-entropy of features [B, D] under classes [B]."""
        return functional.cross_entropy(
            self.logits(outputs), targets, label_smoothing=label_smoothing
        )

    def predict(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Map features [B, D] to class indices [B]; the first of equal logits wins."""
        del targets  # a class is predicted from the item alone
        return self.logits(outputs).argmax(-1)

    def gold(self, targets: Tensor) -> Tensor:
        """The classes themselves, [B]."""
        return targets

    def to(self, device: torch.device | str) -> Head:
        """Return the same head on another device."""
        return Head(self.weight.to(device), self.bias.to(device), self.normalise)

    def stored(self) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Weight and bias; how features are treated."""
        return {"weight": self.weight, "bias": self.bias}, {
            "kind": "linear",
            "normalise": self.normalise,
        }

    @property
    def size(self) -> int:
        """Numbers stored."""
        return self.weight.numel() + self.bias.numel()


@dataclass(frozen=True, slots=True)
class Choices:
    """The head of multiple choice: the model scores K given options, and the best is the answer.

    Outputs are scores [B, K], such as the log-likelihood of each option; targets are the index of
    the right option, [B].
    """

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The cross-entropy of scores [B, K] under options [B]."""
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def predict(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The option of the highest score, [B]; the first of equal scores wins."""
        del targets
        return outputs.argmax(-1)

    def gold(self, targets: Tensor) -> Tensor:
        """The right options, [B]."""
        return targets

    def to(self, device: torch.device | str) -> Choices:
        """Return the head itself, which holds no numbers."""
        del device
        return self

    def stored(self) -> tuple[Mapping[str, Tensor], Mapping[str, object]]:
        """Nothing but its kind."""
        return {}, {"kind": "choices"}


def read_head(tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> TaskHead:
    """Make a head of what `TaskHead.stored` returned."""
    if facts["kind"] == "choices":
        return Choices()
    return Head(tensors["weight"], tensors["bias"], bool(facts["normalise"]))
