"""How often the intervals contain the truth, in simulation: the table of the page of numbers.

`python -m taskmark.statistics.coverage` makes the table again, in some minutes on one core, and
prints each line as it comes; `--out FILE` writes it as JSON. It is the same table every time.

Every board is made up: images are as hard for one seed as for another in part, methods are right on
images that are easy enough for them, and seeds differ in accuracy. What is known of such a board is
the accuracy that each method has over all images and seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from taskmark.statistics.differences import count_differing_images, image_steps
from taskmark.statistics.intervals import compare_pairs, intervals_of
from taskmark.statistics.resampling import Floats, Replicates, Scores, replicates
from taskmark.statistics.uncertainty import LEVEL, SEEDS_COMPARED_FROM, of_differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TABLE = "coverage.json"
"""Name of the data file, in this package."""

N_METHODS = 6
EXPERT_ACCURACY = 0.95
OF_COMMON_HARDNESS = 0.5
"""Share of what makes an image hard that is the same for all methods and seeds."""

BOARDS = 300
"""Of six methods each; four times as many where there are few images, which is cheap."""

RESAMPLES = 250
"""Replicates of each board; for one or two seeds 1,000, since percentiles need more."""


@dataclass(frozen=True, slots=True)
class SimulatedBoard:
    """A kind of made-up boards.

    Attributes:
        n_items: images of a task.
        n_tasks: tasks.
        n_seeds: expert seeds.
        true_accuracy: of every method, over all images and seeds.
        seed_share: share of the seeds in the variance of a score.
    """

    n_items: int
    n_tasks: int
    n_seeds: int
    true_accuracy: float
    seed_share: float = 0.0

    @property
    def few_items(self) -> bool:
        """Whether so few images are wrong, or right, that shares jump: a discrete corner."""
        few = min(self.true_accuracy, 1 - self.true_accuracy)
        return self.n_items * self.n_tasks * few < 30 or self.n_items * self.n_tasks < 100  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of boards on which an interval contains the truth.

    Attributes:
        accuracy: that of a mean accuracy.
        normalised: that of a mean normalised accuracy.
        difference: that of the difference of two methods, in normalised accuracy.
        separated: share of boards on which any two equal methods get different ranks.
        boards: their number.
    """

    accuracy: float
    normalised: float
    difference: float
    separated: float
    boards: int


def simulated_boards() -> tuple[SimulatedBoard, ...]:
    """Return the kinds of boards of the table."""
    one_seed = [
        SimulatedBoard(50, 1, 1, 0.02),
        SimulatedBoard(50, 1, 1, 0.5),
        SimulatedBoard(50, 1, 1, 0.98),
        SimulatedBoard(50, 3, 1, 0.98),
        SimulatedBoard(1200, 1, 1, 0.98),
        SimulatedBoard(1200, 8, 1, 0.7),
    ]
    several = [
        SimulatedBoard(100, 4, n_seeds, 0.7, share)
        for n_seeds in (3, 5, 10)
        for share in (0.0, 0.5, 0.8, 0.97)
    ]
    wide = [
        SimulatedBoard(50, 20, 3, 0.5, 0.5),
        SimulatedBoard(1200, 8, 3, 0.7, 0.5),
        SimulatedBoard(1200, 1, 3, 0.98, 0.5),
        SimulatedBoard(10_000, 1, 3, 0.7, 0.8),
        SimulatedBoard(10_000, 1, 10, 0.02, 0.5),
    ]
    corners = [SimulatedBoard(50, 1, n_seeds, 0.98) for n_seeds in (3, 10)]
    return (*one_seed, *corners, *several, *wide)


def simulate(kind: SimulatedBoard, *, boards: int = BOARDS, seed: int = 0) -> Coverage:
    """Make up boards of methods that are equally good, and count what the intervals contain."""
    places = (kind.n_items, kind.n_tasks, kind.n_seeds)
    shares = (round(1000 * kind.true_accuracy), round(1000 * kind.seed_share))
    generator = np.random.default_rng([seed, *places, *shares])
    resamples = RESAMPLES if kind.n_seeds >= SEEDS_COMPARED_FROM else 1000
    truth = kind.true_accuracy, kind.true_accuracy / EXPERT_ACCURACY
    covered, separated = np.zeros(3), 0
    for _ in range(boards):
        competitors = make_board(kind, generator)
        drawn = replicates(competitors, resamples, generator)
        for ends in intervals_of(drawn):
            covered[0] += ends.accuracy_low <= truth[0] <= ends.accuracy_high
            covered[1] += ends.normalised_low <= truth[1] <= ends.normalised_high
        pairs = compare_pairs(competitors, drawn)
        separated += bool((pairs.p_value < LEVEL).any())
        for first in range(0, N_METHODS, 2):
            covered[2] += _is_zero_covered(competitors[first : first + 2], drawn, first)
    counts = boards * np.array([N_METHODS, N_METHODS, N_METHODS // 2])
    accuracy, normalised, difference = (covered / counts).round(4).tolist()
    return Coverage(accuracy, normalised, difference, round(separated / boards, 4), boards)


def _is_zero_covered(competitors: Sequence[Scores], drawn: Replicates, first: int) -> bool:
    """Whether the interval of the difference of two equal methods, by itself, holds 0."""
    two = drawn.of_competitors([first, first + 1])
    differing = count_differing_images(competitors)
    step = image_steps(two, differing, measure="normalised_accuracy")
    margin = of_differences(two.normalised, image_step=step).margin()[0, 1]
    value = two.normalised[0, 0].mean() - two.normalised[0, 1].mean()
    return bool(abs(value) <= margin)


def make_board(kind: SimulatedBoard, generator: np.random.Generator) -> list[Scores]:
    """Make up the bits of equally good methods and of the experts that all of them share."""
    s, t, n = kind.n_seeds, kind.n_tasks, kind.n_items
    common = np.sqrt(OF_COMMON_HARDNESS) * generator.standard_normal((t, n))
    rest = np.sqrt(1 - OF_COMMON_HARDNESS)
    reference = _right(common, rest, np.full(s, EXPERT_ACCURACY), generator)
    board = []
    for _ in range(N_METHODS):
        spread = _seed_spread(kind) * generator.standard_normal(s)
        # Cut off symmetrically, so that the mean stays.
        most = min(kind.true_accuracy, 1 - kind.true_accuracy)
        accuracies = kind.true_accuracy + np.clip(spread, -most, most)
        board.append(Scores(_right(common, rest, accuracies, generator), reference))
    return board


@lru_cache
def _seed_spread(kind: SimulatedBoard) -> float:
    """Standard deviation of a method's accuracy over seeds, from the share it has in the variance.

    All images together have p (1 - p) / (n T), of which a part c is common to all seeds.
    """
    p = kind.true_accuracy
    quantile = stats.norm.ppf(p)
    both = stats.multivariate_normal.cdf(
        [quantile, quantile], cov=[[1, OF_COMMON_HARDNESS], [OF_COMMON_HARDNESS, 1]]
    )
    common, all_of_it = both - p**2, p * (1 - p)
    of_mean = common + (all_of_it - common) / kind.n_seeds
    of_mean /= kind.n_items * kind.n_tasks
    share = kind.seed_share
    return float(np.sqrt(kind.n_seeds * of_mean * share / (1 - share)))


def _right(
    common: Floats, rest: float, accuracies: Floats, generator: np.random.Generator
) -> dict[int, dict[str, Floats]]:
    found = {}
    for seed, limit in enumerate(stats.norm.ppf(accuracies)):
        bits = common + rest * generator.standard_normal(common.shape) < limit
        found[seed] = {f"task {task}": bits_of_task for task, bits_of_task in enumerate(bits)}
    return found


@dataclass(frozen=True, slots=True)
class CoverageLine:
    """A kind of boards and how often intervals contain the truth on them."""

    board: SimulatedBoard
    coverage: Coverage


def read_table() -> tuple[CoverageLine, ...]:
    """Read the table that the command made."""
    lines = json.loads(files(__package__).joinpath(TABLE).read_text("utf-8"))
    own = {field.name for field in fields(SimulatedBoard)}
    return tuple(
        CoverageLine(
            SimulatedBoard(**{name: value for name, value in line.items() if name in own}),
            Coverage(**{name: value for name, value in line.items() if name not in own}),
        )
        for line in lines
    )


def least(lines: Sequence[CoverageLine], *, few_items: bool) -> float:
    """The least share of all intervals, in discrete corners or elsewhere."""
    return min(
        share
        for line in lines
        if line.board.few_items == few_items
        for share in (line.coverage.accuracy, line.coverage.normalised, line.coverage.difference)
    )


def table_text(lines: Sequence[CoverageLine]) -> str:
    """Write a table as JSON, a line per kind of boards."""
    rows = ",\n".join(json.dumps(asdict(line.board) | asdict(line.coverage)) for line in lines)
    return f"[\n{rows}\n]\n"


def make_table(*, boards: int = BOARDS) -> Iterator[CoverageLine]:
    """Simulate every kind of boards of the table."""
    for kind in simulated_boards():
        yield CoverageLine(kind, simulate(kind, boards=boards * (4 if kind.few_items else 1)))


def main() -> None:
    """Make the table, a line at a time."""
    parser = argparse.ArgumentParser(prog="python -m taskmark.statistics.coverage")
    parser.add_argument("--boards", type=int, default=BOARDS, help="made up of each kind")
    parser.add_argument("--out", type=Path, help="write the table here as JSON")
    options = parser.parse_args()
    lines = []
    for line in make_table(boards=options.boards):
        lines.append(line)
        row = asdict(line.board) | asdict(line.coverage)
        text = "  ".join(f"{name} {value}" for name, value in row.items())
        sys.stdout.write(f"{len(lines)}/{len(simulated_boards())}  {text}\n")
        sys.stdout.flush()
    if options.out:
        options.out.write_text(table_text(lines), "utf-8")


if __name__ == "__main__":
    main()
