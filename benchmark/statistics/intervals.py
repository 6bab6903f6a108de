"""Intervals and ranks from one bit per test image: what the data can tell, and what it cannot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from taskmark.statistics.pairwise import differences, p_values
from taskmark.statistics.resampling import (
    LEVEL,
    RESAMPLES,
    Bits,
    Floats,
    Scores,
    over_seeds,
    percentiles,
    replicates,
    resampled_sums,
    seed_weights,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ScoreIntervals:
    """95 % intervals of a mean accuracy and of a mean normalised accuracy, as fractions."""

    accuracy_low: float
    accuracy_high: float
    normalised_low: float
    normalised_high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one competitor stands among the others.

    Attributes:
        rank: one more than the number of competitors that are significantly better.
        last_rank: the number of competitors less those that are significantly worse; the true
            rank lies in [rank, last_rank] for all competitors at once with 95 % confidence.
        accuracy: mean over seeds and tasks.
        normalised_accuracy: mean over seeds and tasks of the ratio to the expert.
        intervals: 95 % intervals of the two.
        difference: normalised accuracy less that of the best competitor, at most 0.
        difference_low: lower end of its 95 % interval.
        difference_high: upper end of it.
        p_value: of no difference to the best, Holm-corrected over all pairs of competitors.
    """

    rank: int
    last_rank: int
    accuracy: float
    normalised_accuracy: float
    intervals: ScoreIntervals
    difference: float
    difference_low: float
    difference_high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every competitor less every other in normalised accuracy, [M, M] each.

    Attributes:
        difference: mean over seeds of the row's less the column's.
        margin: half the width of its 95 % interval.
        p_value: of no difference, Holm-corrected over all pairs.
        uncorrected: the same of each pair alone.
    """

    difference: Floats
    margin: Floats
    p_value: Floats
    uncorrected: Floats


def proportion_interval(n_correct: int, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the Wilson interval of the proportion `n_correct / n`, of 95 % unless said."""
    if not 0 <= n_correct <= n or n == 0:
        raise ValueError(f"a proportion needs 0 <= n_correct <= n and n > 0, not {n_correct}/{n}")
    low, high = proportion_confint(n_correct, n, alpha=level, method="wilson")
    # Rounding may put an end past the proportion itself at 0 and at 1.
    return max(0.0, min(float(low), n_correct / n)), min(1.0, max(float(high), n_correct / n))


def normalised_accuracy(correct: Mapping[str, Bits], reference: Mapping[str, Bits]) -> float:
    """Mean over tasks of the method's accuracy over the expert's accuracy on the same images.

    An expert that gets no image right counts as if it had got one right, so that the ratio stays
    finite; the same holds within every resample.
    """
    ratios = [correct[task].sum() / max(reference[task].sum(), 1.0) for task in correct]
    return float(np.mean(ratios))


def score_intervals(
    correct: Mapping[str, Bits],
    reference: Mapping[str, Bits],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> ScoreIntervals:
    """95 % intervals of mean accuracy and mean normalised accuracy, for one pair of seeds.

    Percentile intervals (2.5 % and 97.5 %) of a bootstrap that draws, within each task, n of its n
    test images with replacement, the same images for the method and for the expert.

    Args:
        correct: task -> bits of the method, [n].
        reference: task -> bits of the expert of that task, [n].
        resamples: number of replicates.
        seed: of their generator.
    """
    scores = Scores(correct={0: correct}, reference={0: reference})
    return seed_intervals(scores, resamples=resamples, seed=seed)


def seed_intervals(scores: Scores, *, resamples: int = RESAMPLES, seed: int = 0) -> ScoreIntervals:
    """95 % intervals of the means over several expert seeds, otherwise as for one.

    The same images are drawn for all seeds. From three seeds on, seeds are drawn too: S - 1 of S
    with replacement, which makes the variance unbiased (Rao and Wu 1988).
    """
    accuracy, normalised = replicates([scores], resamples, np.random.default_rng(seed))
    weights = seed_weights(len(scores.correct), resamples, np.random.default_rng([seed, 1]))
    return _intervals(over_seeds(accuracy, weights)[:, 0], over_seeds(normalised, weights)[:, 0])


def disentanglement_interval(
    pairs: Sequence[tuple[Floats, Floats]],
    *,
    names: Sequence[tuple[str, str]] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of the mean over pairs of (mean of the first + mean of the second array).

    Args:
        pairs: per pair of tasks two arrays [N_1], [N_2]: each image's mean disagreement over the
            unit square, for the images of the two tasks.
        names: the two tasks of each pair. Arrays of one task belong to the same images, which are
            then drawn once a replicate for all pairs; without names every array is drawn alone.
        resamples: number of replicates.
        seed: of their generator.

    Returns:
        The percentiles 2.5 % and 97.5 %.
    """
    if names is None:
        names = [(f"{pair} first", f"{pair} second") for pair in range(len(pairs))]
    by_task: dict[str, list[Floats]] = defaultdict(list)
    for tasks, arrays in zip(names, pairs, strict=True):
        for task, array in zip(tasks, arrays, strict=True):
            by_task[task].append(np.asarray(array, dtype=np.float64))
    generator = np.random.default_rng(seed)
    statistic = np.zeros(resamples)  # [R]
    for task, arrays_of_task in sorted(by_task.items()):
        if len({len(array) for array in arrays_of_task}) != 1:
            raise ValueError(f"the arrays of task {task!r} belong to different numbers of images")
        # The statistic is linear in the images, so the pairs of a task are added up beforehand.
        image = np.sum(arrays_of_task, axis=0) / (len(pairs) * len(arrays_of_task[0]))  # [N]
        statistic += resampled_sums(image[:, None], resamples, generator)[:, 0]
    return percentiles(statistic)


def rank_groups(
    scores: Mapping[str, Scores],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Standing]:
    """Rank competitors by normalised accuracy; those that cannot be told apart share a rank.

    For every pair of competitors the difference of normalised accuracy is divided by its standard
    error: from resamples of images that are the same for both and, from three expert seeds on,
    the variance over seeds besides. The two-sided p-value of that ratio comes from Student's t,
    whose degrees of freedom (Welch and Satterthwaite) are infinite for one or two seeds. It is
    never smaller than 2^(1 - k), the best an exact sign test could do with the k images on which
    the pair differs; competitors with equal bits have p = 1. P-values are Holm-corrected over all
    pairs. What is better than a better one counts as better too.
    (Counted percentiles would not do: 2,000 resamples cannot give a p-value below 0.001, and Holm
    over the 435 pairs of 30 competitors needs 0.0001.)

    Args:
        scores: name -> bits; the same expert seeds, tasks and images for all.
        resamples: number of replicates.
        seed: of their generator.
        level: family-wise error rate of the comparisons.

    Returns:
        name -> standing, in the order of `scores`.
    """
    if not scores:
        return {}
    competitors = list(scores.values())
    accuracy, normalised = replicates(competitors, resamples, np.random.default_rng(seed))
    weights = seed_weights(len(competitors[0].correct), resamples, np.random.default_rng([seed, 1]))
    return standings(
        scores,
        over_seeds(accuracy, weights),
        over_seeds(normalised, weights),
        compare_pairs(competitors, normalised),
        level=level,
    )


def compare_pairs(competitors: Sequence[Scores], normalised: Floats) -> Pairs:
    """Compare every two of M competitors, by the test that `rank_groups` describes.

    Args:
        competitors: bits; the same expert seeds, tasks and images for all.
        normalised: normalised accuracy of their replicates, [1 + R, M, S].
    """
    found = differences(normalised)
    p_value = p_values(found, competitors)
    first, second = np.triu_indices(len(competitors), 1)
    adjusted = np.ones_like(p_value)
    if len(first):
        corrected = multipletests(p_value[first, second], method="holm")[1]
        adjusted[first, second] = adjusted[second, first] = corrected
    return Pairs(found.value, found.margin(LEVEL), adjusted, p_value)


def standings(
    names: Iterable[str],
    accuracies: Floats,
    normaliseds: Floats,
    pairs: Pairs,
    *,
    level: float = LEVEL,
) -> dict[str, Standing]:
    """Rank competitors whose pairs were compared, as `rank_groups` describes.

    Args:
        names: of the M competitors.
        accuracies: their replicates, means over seeds, [1 + R, M].
        normaliseds: likewise.
        pairs: see `compare_pairs`.
        level: family-wise error rate of the comparisons.

    Returns:
        name -> standing, in the order of `names`.
    """
    n_competitors = normaliseds.shape[1]
    observed = normaliseds[0]  # [M]
    # Column better than row.
    better = _with_consequences((pairs.p_value < level) & (pairs.difference < 0))
    best = int(observed.argmax())
    margin = pairs.margin[:, best]  # [M]
    return {
        name: Standing(
            rank=1 + int(better[m].sum()),
            last_rank=n_competitors - int(better[:, m].sum()),
            accuracy=float(accuracies[0, m]),
            normalised_accuracy=float(observed[m]),
            intervals=_intervals(accuracies[:, m], normaliseds[:, m]),
            difference=float(pairs.difference[m, best]),
            difference_low=float(pairs.difference[m, best] - margin[m]),
            difference_high=float(pairs.difference[m, best] + margin[m]),
            p_value=float(pairs.p_value[m, best]),
        )
        for m, name in enumerate(names)
    }


def _with_consequences(better: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close an order, so that equal ranks are never significantly different, [M, M]."""
    closed = better.copy()
    for m in range(len(closed)):
        closed |= closed[:, [m]] & closed[[m], :]
    return closed


def _intervals(accuracy: Floats, normalised: Floats) -> ScoreIntervals:
    """Percentile intervals of replicates, [1 + R] each, of which the first is the data."""
    return ScoreIntervals(*percentiles(accuracy[1:]), *percentiles(normalised[1:]))
