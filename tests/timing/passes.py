"""The passes of a method that runs the model: noted while it runs, and done again alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from taskmark import Given


class Passes:
    """What a method asks of the model, in order; `again` does that much and nothing else.

    Args:
        given: whose passes are noted.
        patch: they are noted until it is undone.
    """

    def __init__(self, given: Given, patch: pytest.MonkeyPatch) -> None:
        self._given = given
        self._features, self._gram_matrices = given.features, given.gram_matrices
        self._calls: list[Callable[[], object]] = []
        patch.setattr(given, "features", self._noted)
        patch.setattr(given, "gram_matrices", self._noted_gram_matrices)

    def again(self) -> None:
        """The same passes, on vectors that are there: forward, backward where it was asked for."""
        for call in self._calls:
            call()

    def _noted(self, vector: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        backward = torch.is_grad_enabled() and vector.requires_grad
        self._calls.append(lambda: self._pass(inputs, backward=backward))
        return self._features(vector, inputs)

    def _noted_gram_matrices(
        self, vector: torch.Tensor, inputs: torch.Tensor, parts: Sequence[str] | None = None
    ) -> dict[str, torch.Tensor]:
        first = self._given.task_vectors[0]
        self._calls.append(lambda: self._gram_matrices(first, inputs, parts))
        return self._gram_matrices(vector, inputs, parts)

    def _pass(self, inputs: torch.Tensor, *, backward: bool) -> None:
        vector = self._given.task_vectors[0].detach().requires_grad_(backward)
        with torch.set_grad_enabled(backward):
            features = self._features(vector, inputs)
            if backward:
                torch.autograd.grad(features.sum(), vector)
