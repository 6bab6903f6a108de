"""Racing: stop reading scales that cannot win, with a stated probability of losing the winner.

The exact search reads every image at every scale, and the scale of the highest total wins. A race
reads the images in random order and drops a scale whose loss against the others is beyond chance.

Whether scale s can still win is tested by betting (Waudby-Smith and Ramdas 2024, "Estimating means
of bounded random variables by betting", for sampling without replacement). If s is the winner,
then for every rival r the differences x_1, ..., x_N of the images' values at s and at r have a
total of at least 0. The images that are left after x_1, ..., x_(i-1) then have a mean of at least

    m_i = -(x_1 + ... + x_(i-1)) / (N - i + 1),

so betting against s on every image multiplies a capital of 1 by 1 - b_i (x_i - m_i), on average by
no more than 1. The mean of such capitals over all rivals and sizes of bets is one too, and exceeds
1 / error at any time with a probability of at most `error` (Ville's inequality). A scale is dropped
when its capital does. There is one winner, so the chance that it is dropped is at most `error`,
over all scales and looks together.

The one assumption is the random order of the images. Weights that differ from task to task, ties,
and dependence between scales are all allowed; no normal approximation is made. The probability is
that of drawing the order, which is drawn once for all rows of a suite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import logsumexp

from taskmark.inference.scale_search import curve_of, predict, references_of, sizes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from taskmark.contract.edit import Edit
    from taskmark.inference.items import Items
    from taskmark.inference.readers import Reader
    from taskmark.records.record import Trial

RACING_ERROR = 0.05
BETS = (0.1, 0.2, 0.4, 0.8)
"""Sizes of bets, as shares of the largest that can never lose more than the capital."""


@dataclass(frozen=True, slots=True)
class Racing:
    """How a race is run.

    Attributes:
        seed: of the order in which images are read.
        block: images read between two looks at which scales can still win.
        error: the probability of dropping the winner that is allowed.
    """

    seed: int
    block: int
    error: float = RACING_ERROR


def race(
    read: Reader,
    edit: Edit,
    items: Mapping[str, Items],
    experts: Mapping[str, float],
    scales: Sequence[float],
    racing: Racing,
) -> tuple[Trial, ...]:
    """As `search`, but scales that cannot win are read no further.

    The winner of the exact search is lost with a probability of at most `racing.error`; the scales
    that are left at the end were read on every image, and their trials are those of `search`.

    Returns:
        One trial a scale, in order; `n_images` says on how many images it was read.
    """
    sizes, reference = sizes_of(items), references_of(items, experts)
    # What an image that is right adds to the mean normalised accuracy, by task.
    weight = 1 / (len(sizes) * reference * sizes)
    task_of = np.repeat(np.arange(len(sizes)), sizes)  # [N], of each image of all tasks in a row
    place = np.concatenate([np.arange(size) for size in sizes])  # [N], within its task
    order = np.random.default_rng(racing.seed).permutation(len(task_of))
    n_correct = np.zeros((len(sizes), len(scales)), dtype=np.int64)
    n_read = np.zeros_like(n_correct)
    state = begin(len(scales), n_images=len(order), largest=weight.max(), error=racing.error)
    for block in (order[at : at + racing.block] for at in range(0, len(order), racing.block)):
        running = np.flatnonzero(state.running).tolist()
        parts = {
            task: own.at(torch.from_numpy(place[block[task_of[block] == row]]))
            for row, (task, own) in enumerate(items.items())
            if (task_of[block] == row).any()
        }
        answers = predict(read, edit, parts, [scales[scale] for scale in running])
        values = np.zeros((len(block), len(running)))
        for row, task in enumerate(items):
            if task in parts:
                correct = parts[task].correct(answers[task]).numpy().T  # [B of the task, R]
                values[task_of[block] == row] = weight[row] * correct
                n_correct[row, running] += correct.sum(0)
                n_read[row, running] += len(correct)
        state = advance(state, values)
    return curve_of(n_correct, n_read, reference, scales)


@dataclass(frozen=True, slots=True)
class Race:
    """Where a race between S scales stands.

    Attributes:
        n_images: how many images there are, N.
        largest: the highest value that one image can have; the lowest is 0.
        error: the probability of dropping the winner that is allowed.
        n_read: how many images were read.
        totals: the values read so far, added up, [S]; of a dropped scale as when it was dropped.
        log_capital: logarithm of what was won by betting against a scale on a rival,
            [len(BETS), S, S], scale before rival; -inf for a scale against itself.
        running: which scales are not dropped, [S].
    """

    n_images: int
    largest: float
    error: float
    n_read: int
    totals: NDArray[np.float64]
    log_capital: NDArray[np.float64]
    running: NDArray[np.bool_]


def begin(n_scales: int, *, n_images: int, largest: float, error: float) -> Race:
    """A race of which nothing is read; it takes two scales or more."""
    capital = np.zeros((len(BETS), n_scales, n_scales))
    capital[:, np.arange(n_scales), np.arange(n_scales)] = -np.inf
    return Race(
        n_images=n_images,
        largest=largest,
        error=error,
        n_read=0,
        totals=np.zeros(n_scales),
        log_capital=capital,
        running=np.ones(n_scales, dtype=np.bool_),
    )


def advance(race: Race, values: NDArray[np.float64]) -> Race:
    """Read a block of images, then drop the scales that cannot win.

    The scale that leads is never dropped, so one is always left.

    Args:
        race: where it stands.
        values: what each image adds to the total of each running scale, in the order of the race,
            [B, number of running scales].

    Returns:
        Where it stands then.
    """
    scales = np.flatnonzero(race.running)
    so_far = race.totals[scales] + np.cumsum(values, axis=0)  # [B, R], after each image
    left = race.n_images - race.n_read - np.arange(len(values))  # [B], before each image
    ahead = _against(so_far - values)  # [B, R, R]
    mean = -ahead / left[:, None, None]
    surprise = _against(values) - mean
    # A loss is at most largest - mean, and bets may use what was seen before the image alone.
    most = race.largest + np.maximum(-mean, 0)
    won = np.stack([np.log1p(-bet * surprise / most).sum(0) for bet in BETS])  # [bets, R, R]

    totals = race.totals.copy()
    totals[scales] = so_far[-1]
    capital = race.log_capital.copy()
    capital[:, scales[:, None], scales] += won
    n_rivals = len(totals) - 1
    mean_capital = logsumexp(capital, axis=(0, 2)) - math.log(len(BETS) * n_rivals)  # [S]
    running = race.running & (mean_capital < -math.log(race.error))
    running[scales[so_far[-1].argmax()]] = True
    return replace(
        race,
        n_read=race.n_read + len(values),
        totals=totals,
        log_capital=capital,
        running=running,
    )


def _against(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every scale's value less every rival's, [B, R] -> [B, R, R]."""
    return values[:, :, None] - values[:, None, :]
