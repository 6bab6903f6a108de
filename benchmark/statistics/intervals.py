"""Intervals and ranks from one bit per test image: what the data can tell, and what it cannot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from taskmark.statistics.differences import count_differing_images, image_steps
from taskmark.statistics.edges import ENOUGH, Z, is_near_edge, ratio_ends, share_ends
from taskmark.statistics.resampling import (
    RESAMPLES,
    Bits,
    Floats,
    Replicates,
    Scores,
    replicates,
    resampled_sums,
)
from taskmark.statistics.uncertainty import (
    LEVEL,
    ROUNDING,
    SEEDS_COMPARED_FROM,
    correct_together,
    of_differences,
    of_scores,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        rank: number of its tier, 1 for that of the best.
        n_better: how many competitors are better beyond chance, pair by pair.
        n_worse: how many are worse beyond chance.
        accuracy: mean over seeds and tasks.
        normalised_accuracy: mean over seeds and tasks of the ratio to the expert.
        intervals: 95 % intervals of the two.
        difference: normalised accuracy less that of the best competitor, at most 0.
        difference_low: lower end of its 95 % interval.
        difference_high: upper end of it.
        p_value: of no difference to the best, Holm-corrected over all pairs of competitors.
    """

    rank: int
    n_better: int
    n_worse: int
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


def normalised_accuracy(
    correct: Mapping[str, Bits | Floats], reference: Mapping[str, Bits | Floats]
) -> float:
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
    test images with replacement, the same images for the method and for the expert. Where fewer
    than thirty images are right, or fewer than thirty wrong, the interval is Wilson's, with the
    number of images that has the bootstrap's variance; that of a ratio comes from two of these and
    their correlation. It is conditional on the seeds: another expert may score outside of it.

    Args:
        correct: task -> bits of the method, [n].
        reference: task -> bits of the expert of that task, [n].
        resamples: number of replicates.
        seed: of their generator.
    """
    scores = Scores(correct={0: correct}, reference={0: reference})
    return seed_intervals(scores, resamples=resamples, seed=seed)


def seed_intervals(scores: Scores, *, resamples: int = RESAMPLES, seed: int = 0) -> ScoreIntervals:
    """95 % intervals of the means over several expert seeds; for one or two as for one.

    The same images are drawn for all seeds. From three seeds on, the interval is Student's t. Its
    variance is the sum of C, the covariance of two seeds over resampled images, and of W, the
    variance over seeds divided by their number S; together they count the spread over seeds, over
    images and over both exactly once. It has (S - 1) (C + W) / W degrees of freedom: S - 1 where
    seeds alone vary, infinitely many where images alone do. Near 0 and 1 it bends as Wilson's does,
    and is never narrower than the interval of these seeds.
    """
    drawn = replicates([scores], resamples, np.random.default_rng(seed))
    (found,) = intervals_of(drawn)
    return found


def intervals_of(drawn: Replicates) -> list[ScoreIntervals]:
    """Intervals of M competitors, by the rules of `seed_intervals`."""
    ends = np.stack([_ends(drawn.accuracy, most=1.0), _ends(drawn.normalised, most=np.inf)])
    shares = np.stack([drawn.accuracy[0], drawn.reference[0]]).mean(axis=2)  # [2, M]
    few = (drawn.n_items * np.minimum(shares, 1 - shares) < ENOUGH).any(axis=0)
    for m in np.flatnonzero(few).tolist():
        ends[:, :, m] = _ends_near_edge(drawn.of_competitors([m]), ends[:, :, m])
    return [ScoreIntervals(*ends[:, :, m].ravel().tolist()) for m in range(len(few))]


def _ends(scores: Floats, *, most: float) -> Floats:
    """Ends of intervals far from 0 and 1, from replicates [1 + R, M, S] -> [2, M]."""
    means = scores.mean(axis=2)
    if scores.shape[2] < SEEDS_COMPARED_FROM:
        return percentiles(means[1:])
    margin = of_scores(scores).margin()
    ends: Floats = np.stack([means[0] - margin, means[0] + margin])
    return ends.clip(0.0, most)


def _ends_near_edge(drawn: Replicates, ends: Floats) -> Floats:
    """Ends of one competitor that has few images right or wrong, or whose experts have; [2, 2]."""
    accuracy, reference = drawn.accuracy[:, 0].mean(axis=1), drawn.reference[:, 0].mean(axis=1)
    shares = float(accuracy[0]), float(reference[0])
    errors = float(accuracy[1:].std(ddof=1)), float(reference[1:].std(ddof=1))
    near = [is_near_edge(*both, drawn.n_items) for both in zip(shares, errors, strict=True)]
    found = ends.copy()
    if near[0]:
        margin = max(float(of_scores(drawn.accuracy).margin()[0]), Z * errors[0])
        found[0] = share_ends(shares[0], margin, drawn.n_items)
    if any(near):
        both = [
            share_ends(share, Z * error, drawn.n_items)
            if error > ROUNDING or is_near
            else (share, share)
            for share, error, is_near in zip(shares, errors, near, strict=True)
        ]
        correlation = (
            np.corrcoef(accuracy[1:], reference[1:])[0, 1] if min(errors) > ROUNDING else 0.0
        )
        ratio = ratio_ends(*shares, (both[0], both[1]), float(correlation))
        # The mean of ratios is not the ratio of the means.
        scale = float(drawn.normalised[0].mean()) * shares[1] / shares[0] if shares[0] > 0 else 1.0
        found[1] = np.minimum(np.array(ratio) * scale, drawn.n_items)
        if drawn.accuracy.shape[2] >= SEEDS_COMPARED_FROM:
            found[1] = min(found[1][0], ends[1][0]), max(found[1][1], ends[1][1])
    return found


def percentiles(replicates: Floats) -> Floats:
    """Ends of the 95 % percentile intervals of replicates, [R, ...] -> [2, ...]."""
    ends: Floats = np.quantile(replicates, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return ends


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
    low, high = percentiles(statistic)
    return float(low), float(high)


def rank_groups(
    scores: Mapping[str, Scores],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Standing]:
    """Rank competitors by normalised accuracy, in tiers.

    The best competitor opens the first tier, which reaches down to the last one that cannot be told
    from it; the best of the rest opens the next tier. A rank is the number of a tier, so that ranks
    follow the scores. Two of one tier may still differ beyond chance; `compare_pairs` says so.

    For every pair of competitors the difference of normalised accuracy is divided by its standard
    error, and compared with Student's t, by the method of the intervals: images are drawn once for
    both and, from three expert seeds on, the variance of the difference over seeds counts too. All
    pairs share the mean of that variance, but for those whose own is larger. A p-value is never
    smaller than 2^(1 - k), the best an exact sign test could do with the k images on which the pair
    differs; competitors with equal bits have p = 1. P-values are Holm-corrected over all pairs.
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
    drawn = replicates(competitors, resamples, np.random.default_rng(seed))
    pairs = compare_pairs(competitors, drawn)
    return dict(zip(scores, standings(drawn, pairs, level=level), strict=True))


def compare_pairs(competitors: Sequence[Scores], drawn: Replicates) -> Pairs:
    """Compare every two of M competitors in normalised accuracy, as `rank_groups` describes.

    Args:
        competitors: bits; the same expert seeds, tasks and images for all.
        drawn: their replicates.
    """
    n_differing = count_differing_images(competitors)
    step = image_steps(drawn, n_differing, measure="normalised_accuracy")
    uncertainty = of_differences(drawn.normalised, image_step=step)
    means = drawn.normalised[0].mean(axis=1)
    value = means[:, None] - means[None, :]
    least = np.minimum(np.exp2(1.0 - n_differing), 1.0)
    of_ratio = uncertainty.p_value(value)
    p_value = np.where(n_differing == 0, 1.0, np.clip(of_ratio, least, 1.0))
    first, second = np.triu_indices(len(competitors), 1)
    adjusted = np.ones_like(p_value)
    corrected = correct_together(p_value[first, second])
    adjusted[first, second] = adjusted[second, first] = corrected
    return Pairs(value, uncertainty.margin(), adjusted, p_value)


def standings(drawn: Replicates, pairs: Pairs, *, level: float = LEVEL) -> list[Standing]:
    """Rank M competitors whose pairs were compared, as `rank_groups` describes.

    Args:
        drawn: their replicates.
        pairs: see `compare_pairs`.
        level: family-wise error rate of the comparisons.
    """
    accuracies, normaliseds = drawn.accuracy[0].mean(axis=1), drawn.normalised[0].mean(axis=1)
    apart = pairs.p_value < level
    better = apart & (pairs.difference < 0)  # column better than row
    ranks = tiers(normaliseds, apart)
    best = int(normaliseds.argmax())
    return [
        Standing(
            rank=int(ranks[m]),
            n_better=int(better[m].sum()),
            n_worse=int(better[:, m].sum()),
            accuracy=float(accuracies[m]),
            normalised_accuracy=float(normaliseds[m]),
            intervals=intervals,
            difference=float(pairs.difference[m, best]),
            difference_low=float(pairs.difference[m, best] - pairs.margin[m, best]),
            difference_high=float(pairs.difference[m, best] + pairs.margin[m, best]),
            p_value=float(pairs.p_value[m, best]),
        )
        for m, intervals in enumerate(intervals_of(drawn))
    ]


def tiers(scores: Floats, apart: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Sort competitors into tiers, see `rank_groups`.

    Competitors with the same score open a tier together: what cannot be told from one of them
    belongs to it, so that the order of the competitors does not matter.

    Args:
        scores: of M competitors, [M].
        apart: which two are told apart, [M, M], symmetric.

    Returns:
        The number of each one's tier, from 1, [M].
    """
    order = np.argsort(-scores, kind="stable")
    ranks = np.zeros(len(order), dtype=np.int64)
    start = 0
    while start < len(order):
        rest = order[start:]
        openers = rest[scores[rest] >= scores[rest[0]] - ROUNDING]
        joins = ~apart[np.ix_(openers, rest)].all(axis=0)
        length = 1 + int(np.flatnonzero(joins).max())
        ranks[rest[:length]] = ranks.max() + 1
        start += length
    return ranks
