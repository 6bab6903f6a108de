"""How well boards separate methods, and how alike their rankings are from seed to seed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from taskmark.pairwise import differences, p_values
from taskmark.resampling import RESAMPLES, Floats, Scores, replicates

if TYPE_CHECKING:
    from collections.abc import Mapping


def pair_p_values(
    boards: Mapping[str, Mapping[str, Scores]], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict[tuple[str, str], float]]:
    """P-values of no difference in normalised accuracy, of every two competitors on every board.

    On each board the test is the one that ranks it, see `taskmark.statistics.rank_groups`:
    images are paired within tasks, and from three expert seeds on the variance over seeds counts.
    All p-values, of all pairs on all boards, are Holm-corrected together.

    Args:
        boards: board -> competitor -> bits; the same seeds, tasks and images within a board.
        resamples: number of replicates.
        seed: of their generator.

    Returns:
        board -> (competitor, competitor), in the order of their names -> corrected p-value.
    """
    tests: list[tuple[str, tuple[str, str], float]] = []
    for board, scores in boards.items():
        names = sorted(scores)
        if len(names) > 1:
            competitors = [scores[name] for name in names]
            _, normalised = replicates(competitors, resamples, np.random.default_rng(seed))
            p_value = p_values(differences(normalised), competitors)
            pairs = itertools.combinations(range(len(names)), 2)
            tests += [(board, (names[i], names[j]), float(p_value[i, j])) for i, j in pairs]
    raw = [p for *_, p in tests]
    corrected = multipletests(raw, method="holm")[1] if raw else []
    found: dict[str, dict[tuple[str, str], float]] = {board: {} for board in boards}
    for (board, pair, _), p in zip(tests, corrected, strict=True):
        found[board][pair] = float(p)
    return found


def rank_correlations(scores: Floats) -> tuple[float, ...]:
    """Kendall's tau-b between the rankings of every two seeds.

    Args:
        scores: of M competitors under S seeds, [M, S].

    Returns:
        S (S - 1) / 2 values in [-1, 1]; without those of a seed that ranks all competitors equal,
        where tau is not defined.
    """
    seeds = range(scores.shape[1])
    ranked = [s for s in seeds if len(np.unique(scores[:, s])) > 1]
    return tuple(
        float(stats.kendalltau(scores[:, a], scores[:, b]).statistic)
        for a, b in itertools.combinations(ranked, 2)
    )
