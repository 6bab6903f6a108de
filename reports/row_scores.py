"""Scores of rows with their intervals, all rows of a board from the same resampled images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from taskmark.reports.rows import Cell
from taskmark.reports.scores import scores_of
from taskmark.statistics.intervals import ScoreIntervals, Standing, compare_pairs, standings
from taskmark.statistics.resampling import (
    RESAMPLES,
    Floats,
    over_seeds,
    percentiles,
    replicates_by_task,
    seed_weights,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.reports.rows import Row
    from taskmark.reports.scores import ExpertBits
    from taskmark.statistics.intervals import Pairs
    from taskmark.statistics.resampling import Scores


@dataclass(frozen=True, slots=True)
class Replicates:
    """Resamples of M rows: accuracies and normalised accuracies of every one.

    Attributes:
        scores: the bits of the rows.
        seeds: the S expert seeds.
        by_task: task -> replicates, accuracy and normalised accuracy, [2, 1 + R, M, S].
        weights: of the seeds, which are drawn too from three on, [1 + R, S].
    """

    scores: tuple[Scores, ...]
    seeds: tuple[int, ...]
    by_task: dict[str, Floats]
    weights: Floats

    def of_seed(self, seed: int | None) -> tuple[dict[str, Floats], Floats]:
        """Replicates of one seed, or over all: task -> [2, 1 + R, M], and their mean over tasks."""
        found: dict[str, Floats] = {}
        for task, both in self.by_task.items():
            if seed is None:
                found[task] = np.stack([over_seeds(side, self.weights) for side in both])
            else:
                found[task] = both[..., self.seeds.index(seed)]
        return found, np.mean(list(found.values()), axis=0)


def resampled(rows: Sequence[Row], experts: ExpertBits) -> Replicates:
    """Draw images for all rows at once, as `intervals.seed_intervals` does for one."""
    scores = tuple(scores_of(row.records, experts) for row in rows)
    seeds = tuple(sorted(scores[0].correct))
    drawn = replicates_by_task(scores, RESAMPLES, np.random.default_rng(0))
    return Replicates(
        scores=scores,
        seeds=seeds,
        by_task={task: np.stack(both) for task, *both in drawn},
        weights=seed_weights(len(seeds), RESAMPLES, np.random.default_rng([0, 1])),
    )


def scored(rows: Sequence[Row], drawn: Replicates, *, seed: int | None = None) -> list[Row]:
    """Fill in scores and intervals: the record's own if there is one, else over the seeds.

    Args:
        rows: those that were resampled, in the same order.
        drawn: see `resampled`.
        seed: an expert seed that is looked at alone; all together by default.
    """
    by_task, means = drawn.of_seed(seed)
    found = []
    for place, row in enumerate(rows):
        records = tuple(r for r in row.records if seed is None or r.seeds.expert == seed)
        of_row = {task: both[:, :, place] for task, both in by_task.items()}
        found.append(_scored(replace(row, records=records), of_row, means[:, :, place]))
    return found


def ranked(drawn: Replicates, places: Sequence[int]) -> tuple[list[Standing], Pairs]:
    """Rank some of the rows among each other.

    Args:
        drawn: see `resampled`.
        places: which rows compete, at least one.

    Returns:
        Their standings in this order, and every difference between two.
    """
    chosen = list(places)
    normalised = np.mean([both[1][:, chosen] for both in drawn.by_task.values()], axis=0)
    pairs = compare_pairs([drawn.scores[place] for place in chosen], normalised)
    accuracies, normaliseds = drawn.of_seed(None)[1][:, :, chosen]
    names = [str(place) for place in chosen]
    return list(standings(names, accuracies, normaliseds, pairs).values()), pairs


def _scored(row: Row, by_task: Mapping[str, Floats], means: Floats) -> Row:
    """Fill in one row, from its replicates by task and their mean, [2, 1 + R] each."""
    only = row.records[0] if len(row.records) == 1 else None
    cells = []
    for result in row.records[0].tasks:
        accuracy, normalised = by_task[result.task]
        low, high = (result.low, result.high) if only else percentiles(accuracy[1:])
        normalised_low, normalised_high = percentiles(normalised[1:])
        cells.append(
            Cell(
                task=result.task,
                accuracy=float(accuracy[0]),
                low=low,
                high=high,
                normalised_accuracy=float(normalised[0]),
                normalised_low=normalised_low,
                normalised_high=normalised_high,
            )
        )
    spread = ScoreIntervals(*percentiles(means[0, 1:]), *percentiles(means[1, 1:]))
    if only:
        own = (only.accuracy_low, only.accuracy_high, only.normalised_low, only.normalised_high)
        spread = ScoreIntervals(*(float("nan") if end is None else end for end in own))
    return replace(
        row,
        cells=tuple(cells),
        accuracy=float(means[0, 0]),
        normalised_accuracy=float(means[1, 0]),
        intervals=spread,
    )
