"""The statistics of a large board."""

from __future__ import annotations

import numpy as np
import pytest
from side_by_side import in_turn, note

from taskmark.statistics.intervals import rank_groups
from taskmark.statistics.resampling import RESAMPLES, Scores

pytestmark = pytest.mark.timing

N_METHODS, N_TASKS, N_IMAGES = 30, 8, 10_000


def _board() -> dict[str, Scores]:
    """Methods that mostly fail on the same images; no two images are alike to all of them."""
    generator = np.random.default_rng(0)
    hardness = generator.random((N_TASKS, N_IMAGES))
    experts = {0: {f"task_{t}": hardness[t] < 0.9 for t in range(N_TASKS)}}
    board = {}
    for m in range(N_METHODS):
        noise = 0.3 * generator.standard_normal(hardness.shape)
        correct = hardness + noise < 0.5 + 0.01 * m
        board[f"method_{m}"] = Scores(
            correct={0: {f"task_{t}": correct[t] for t in range(N_TASKS)}}, reference=experts
        )
    return board


def test_ranking_a_large_board(benchmark):
    board = _board()
    (cost,) = in_turn(benchmark, lambda: rank_groups(board, resamples=RESAMPLES))
    note(
        f"ranks of {N_METHODS} methods x {N_TASKS} tasks x {N_IMAGES} images, "
        f"{RESAMPLES} resamples: {cost.cpu_seconds:.2f} s CPU ({cost.seconds:.2f} s wall), "
        f"target at most 5 s; {cost.peak_bytes / 2**30:.2f} GiB, target at most 1 GiB"
    )
