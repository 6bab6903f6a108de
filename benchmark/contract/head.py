"""A head: the linear map from features to the classes of one task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Head:
    """Logits of one task from features.

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

    def predict(self, features: Tensor) -> Tensor:
        """Map features [B, D] to class indices [B]; the first of equal logits wins."""
        return self.logits(features).argmax(-1)

    def to(self, device: torch.device | str) -> Head:
        """Return the same head on another device."""
        return Head(self.weight.to(device), self.bias.to(device), self.normalise)

    @property
    def size(self) -> int:
        """Numbers stored."""
        return self.weight.numel() + self.bias.numel()
