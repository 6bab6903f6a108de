"""How well the boards of a suite tell methods apart, and how stable their rankings are."""

from __future__ import annotations

import itertools
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from taskmark.records.frozen import Frozen
from taskmark.reports.verdicts import Verdict
from taskmark.statistics.uncertainty import LEVEL, SEEDS_COMPARED_FROM, correct_together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.reports.board import Board
    from taskmark.statistics.resampling import Floats

SEPARATED_SHARE = 0.5
"""Share of the pairs of methods that a board should tell apart on one backbone or another."""

STABLE_CORRELATION = 0.7
"""Mean Kendall tau between the rankings of two seeds that a board should reach."""


class BoardPower(Frozen):
    """What one backbone contributes.

    Attributes:
        backbone: its name.
        expert_seeds: of its board.
        n_pairs: pairs of ranked methods.
        n_separated: of these, pairs that differ significantly on this backbone.
        correlations: Kendall's tau-b between the rankings of every two seeds.
        mean_correlation: their mean.
    """

    backbone: str
    expert_seeds: tuple[int, ...]
    n_pairs: int
    n_separated: int
    correlations: tuple[float, ...]
    mean_correlation: float | None


class Power(Frozen):
    """How well the boards of a suite separate methods.

    Attributes:
        n_pairs: pairs of methods that are ranked together on at least one backbone.
        n_separated: of these, pairs that differ significantly on at least one backbone.
        separation: whether at least half do, with three expert seeds.
        mean_correlation: of the backbones' mean correlations.
        stability: whether it is at least 0.7.
        boards: one a backbone.
    """

    n_pairs: int
    n_separated: int
    separation: Verdict
    mean_correlation: float | None
    stability: Verdict
    boards: tuple[BoardPower, ...]


def power(boards: Sequence[Board]) -> Power:
    """Count the pairs of ranked methods that differ, and correlate the rankings of the seeds.

    Two methods differ if the test that ranks them finds it: paired over images within tasks, with
    the variance over seeds from three seeds on, in normalised accuracy (all by the standard
    experts), Holm-corrected at 5 % over all pairs on all backbones together. Reference rows are
    no methods that compete. With fewer than three seeds a difference is one between models rather
    than between methods, and whether half of the pairs differ counts as not measured.

    A ranking is the order by normalised accuracy with one seed, however small the differences;
    seeds are compared by Kendall's tau-b.

    Args:
        boards: of one edition of a suite, one a backbone.
    """
    p_values = correct_over_boards({board.backbone: _p_values(board) for board in boards})
    together: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for of_board in p_values.values():
        for pair, p in of_board.items():
            together[pair].append(p < LEVEL)
    n_separated = sum(any(found) for found in together.values())

    of_boards = []
    for board in boards:
        taus = rank_correlations(_by_seed(board))
        of_boards.append(
            BoardPower(
                backbone=board.backbone,
                expert_seeds=board.seeds,
                n_pairs=len(p_values[board.backbone]),
                n_separated=sum(p < LEVEL for p in p_values[board.backbone].values()),
                correlations=taus,
                mean_correlation=fmean(taus) if taus else None,
            )
        )
    means = [b.mean_correlation for b in of_boards if b.mean_correlation is not None]
    mean = fmean(means) if means else None
    n_seeds = min((len(b.expert_seeds) for b in of_boards if b.n_pairs), default=0)
    return Power(
        n_pairs=len(together),
        n_separated=n_separated,
        separation=_reached(n_separated / len(together), SEPARATED_SHARE)
        if n_seeds >= SEEDS_COMPARED_FROM
        else "not measured",
        mean_correlation=mean,
        stability="not measured" if mean is None else _reached(mean, STABLE_CORRELATION),
        boards=tuple(of_boards),
    )


def correct_over_boards(
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
    corrected = correct_together(np.array([p for *_, p in tests]))
    by_board: dict[str, dict[tuple[str, str], float]] = {board: {} for board in p_values}
    for (board, pair, _), p in zip(tests, corrected, strict=True):
        by_board[board][pair] = float(p)
    return by_board


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


def _reached(found: float, wanted: float) -> Verdict:
    return "holds" if found >= wanted else "does not hold"


def _p_values(board: Board) -> dict[tuple[str, str], float]:
    """Uncorrected p-values of every two ranked rows, the names in alphabetical order."""
    if board.pairs is None:
        return {}
    places = sorted(range(len(board.ranked)), key=lambda place: board.ranked[place].key)
    return {
        (board.ranked[i].key, board.ranked[j].key): float(board.pairs.uncorrected[i, j])
        for i, j in itertools.combinations(places, 2)
    }


def _by_seed(board: Board) -> Floats:
    """Normalised accuracy of the ranked rows by seed, mean over tasks and method seeds, [M, S]."""
    alone = [board.by_seed.get(seed, board).rows for seed in board.seeds]
    by_key = [{row.key: row.normalised_accuracy for row in rows} for rows in alone]
    scores = [[of_seed[row.key] for of_seed in by_key] for row in board.ranked]
    return np.asarray(scores, dtype=np.float64).reshape(len(board.ranked), len(board.seeds))
