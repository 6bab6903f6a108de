"""Learning coefficients as aTLAS and DV-BASI do, on the fields of a file alone, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from naive_case import HELD_OUT, LEARNED_ON, Case, steps

if TYPE_CHECKING:
    from torch import Tensor


class Descent:
    """Learning coefficients on four images of each task; the fifth tells what to keep."""

    def __init__(
        self, case: Case, *, labelled: bool, granularity: str, tasks: list[str] | None = None
    ) -> None:
        self._case, self._granularity = case, granularity
        self._facts = {"labelled": labelled, "tasks": tasks}

    def held_out(self, vector: Tensor) -> float:
        return float(self._case.loss(vector, HELD_OUT, **self._facts))

    def learn(
        self,
        directions: list[Tensor],
        base: Tensor,
        initial: float,
        *,
        rate: float,
        decay: float,
        epochs: int,
        patience: int,
    ) -> Tensor:
        """The best vector of the start and the ends of the epochs, each of one step."""
        case, granularity = self._case, self._granularity
        start = case.coefficients(len(directions), granularity, initial)

        def at(c: Tensor) -> Tensor:
            return base + case.combined(c, directions, granularity)

        path = steps(
            start,
            lambda c: case.loss(at(c), LEARNED_ON, **self._facts),
            epochs,
            rate=rate,
            decay=decay,
        )
        best, stale = at(start), 0
        for c in path:
            if self.held_out(at(c)) < self.held_out(best):
                best, stale = at(c), 0
            else:
                stale += 1
            if stale == patience:
                break
        return best

    def composition(self, prefix: str) -> Tensor:
        """aTLAS, from coefficients of zero."""
        case, fields = self._case, self._case.fields
        return self.learn(
            list(case.vectors.values()),
            torch.zeros_like(case.pretrained),
            0.0,
            rate=fields[f"{prefix}learning_rate"],
            decay=fields[f"{prefix}weight_decay"],
            epochs=fields[f"{prefix}epochs"],
            patience=fields[f"{prefix}epochs"],
        )

    def refined(self, first: Tensor) -> Tensor:
        """DV-BASI: the best of delta_0 .. delta_M."""
        fields, found = self._case.fields, [first]
        for _ in range(fields["iterations"]):
            scaled = self.learn(
                [found[-1]],
                found[-1],
                fields["initial_scale"],
                rate=fields["learning_rate"],
                decay=fields["weight_decay"],
                epochs=fields["epochs"],
                patience=fields["patience"],
            )
            found.append(scaled)
        return min(found, key=self.held_out)
