"""How well boards separate methods, and how alike their rankings are from seed to seed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.statistics.resampling import Floats


def corrected_together(
    p_values: Mapping[str, Mapping[tuple[str, str], float]],
) -> dict[str, dict[tuple[str, str], float]]:
    """Holm-correct the p-values of all pairs on all boards together.

    Args:
        p_values: board -> pair of competitors -> p-value of no difference, uncorrected, of the test
            that ranks the board (see `taskmark.statistics.intervals.compare_pairs`).

    Returns:
        The same, corrected.
    """
    tests = [(board, pair, p) for board, of in p_values.items() for pair, p in of.items()]
    raw = [p for *_, p in tests]
    corrected = multipletests(raw, method="holm")[1] if raw else []
    found: dict[str, dict[tuple[str, str], float]] = {board: {} for board in p_values}
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
