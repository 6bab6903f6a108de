"""The record of weight disentanglement: how far tasks disturb each other, over a grid of scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from taskmark.records.envelope import Envelope
from taskmark.records.frozen import Frozen
from taskmark.records.packing import unpack_counts

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAME_MEAN = 1e-9


class PairGrid(Frozen):
    """xi(alpha_1, alpha_2) of one pair of tasks: `xi[i][j]` belongs to alphas[i], alphas[j].

    `images_1` and `images_2` keep what intervals of differences need: for each test image of the
    task, at how many grid points of the unit square its two predictions differ (see
    `taskmark.records.packing.pack_counts`).
    """

    task_1: str
    task_2: str
    xi: tuple[tuple[float, ...], ...]
    images_1: str
    images_2: str


class DisentanglementRecord(Envelope):
    """The weight-disentanglement error of one backbone under one recipe.

    xi(a1, a2) = sum over the two tasks of the share of test images on which the prediction with
    both task vectors differs from the prediction with the task's own vector alone; range [0, 2]
    (Ortiz-Jimenez et al. 2023, section 4). `unit_square` is the mean over all grid points with
    both alphas in [0, 1] and over the declared pairs, with its 95 % interval (images resampled
    within tasks).
    """

    folder: ClassVar[str] = "disentanglement"
    unhashed: ClassVar[frozenset[str]] = frozenset({"seconds"})

    expert_seed: int
    n_images: int
    alphas: tuple[float, ...]
    pairs: tuple[PairGrid, ...]
    unit_square: float
    low: float
    high: float
    seconds: float

    @property
    def seed_pair(self) -> tuple[int, int]:
        """The seed of the experts; no method draws anything."""
        return self.expert_seed, 0

    def find_contradiction(self) -> str:
        """How the counts of disagreement contradict the mean; empty if they do not."""
        n_points = points_in_unit_square(self.alphas)
        try:
            counts = [
                unpack_counts(images)
                for pair in self.pairs
                for images in (pair.images_1, pair.images_2)
            ]
            total = sum(float(of_task.mean()) / n_points for of_task in counts if len(of_task))
        except (ValueError, ZeroDivisionError):  # the latter where no point is in the unit square
            total = float("nan")
        if self.pairs and not abs(total / len(self.pairs) - self.unit_square) < _SAME_MEAN:
            return f"the counts of its images do not add up to its unit_square {self.unit_square:g}"
        return ""


def points_in_unit_square(alphas: Iterable[float]) -> int:
    """How many points of the grid have both alphas in [0, 1]."""
    return sum(0 <= alpha <= 1 for alpha in alphas) ** 2
