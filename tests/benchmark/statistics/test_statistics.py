"""The intervals cover, the ranks separate only what differs, and odd inputs do not break them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy import stats

from taskmark.statistics import intervals as statistics
from taskmark.statistics.resampling import Scores


def one_seed(correct, reference):
    return Scores(correct={0: correct}, reference={0: reference})


def drawn(generator, n, probability):
    return generator.random(n) < probability


def test_the_wilson_interval_is_the_one_in_the_textbook():
    low, high = statistics.proportion_interval(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=5e-5)


@pytest.mark.parametrize("n_correct", [0, 7])
def test_a_wilson_interval_stays_within_zero_and_one(n_correct):
    low, high = statistics.proportion_interval(n_correct, 7)
    assert 0 <= low <= n_correct / 7 <= high <= 1


@pytest.mark.parametrize(("n_correct", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_a_proportion_out_of_range_is_refused(n_correct, n):
    with pytest.raises(ValueError, match="n_correct"):
        statistics.proportion_interval(n_correct, n)


def test_normalised_accuracy_of_a_case_worked_by_hand():
    correct = {"a": np.array([1, 1, 0, 0], bool), "b": np.array([1, 0], bool)}
    reference = {"a": np.array([1, 1, 1, 1], bool), "b": np.array([1, 0], bool)}
    assert statistics.normalised_accuracy(correct, reference) == pytest.approx((0.5 + 1) / 2)


def test_an_expert_without_a_correct_image_counts_as_one_correct_image():
    correct = {"a": np.array([1, 1, 0, 0], bool)}
    reference = {"a": np.zeros(4, bool)}
    assert statistics.normalised_accuracy(correct, reference) == 2.0
    intervals = statistics.score_intervals(correct, reference)
    assert 0 <= intervals.normalised_low <= 2 <= intervals.normalised_high <= 4
    standing = statistics.rank_groups({"one": one_seed(correct, reference)})["one"]
    assert (standing.rank, standing.n_better, standing.n_worse, standing.p_value) == (1, 0, 0, 1.0)


def test_one_of_two_right_has_about_the_interval_of_wilson():
    correct = {"a": np.array([1, 0], bool)}
    reference = {"a": np.array([1, 1], bool)}
    intervals = statistics.score_intervals(correct, reference, resamples=20_000)
    found = intervals.accuracy_low, intervals.accuracy_high
    assert found == pytest.approx(statistics.proportion_interval(1, 2), abs=0.01)


def test_fifty_of_fifty_right_have_the_interval_of_wilson_and_a_ratio_that_is_not_certain():
    bits = {"a": np.ones(50, bool)}
    found = statistics.score_intervals(bits, bits)
    assert (found.accuracy_low, found.accuracy_high) == pytest.approx((0.9287, 1.0), abs=1e-4)
    # The ratio of two such shares that may differ on any image: 0.9287 / 1 and 1 / 0.9287.
    ratio = found.normalised_low, found.normalised_high
    assert ratio == pytest.approx((0.9287, 1.0768), abs=1e-3)
    none = statistics.score_intervals({"a": ~bits["a"]}, bits)
    assert (none.accuracy_low, none.accuracy_high) == pytest.approx((0.0, 0.0713), abs=1e-4)
    assert (none.normalised_low, none.normalised_high) == pytest.approx((0.0, 0.0713), abs=1e-3)


@pytest.mark.parametrize("n_tasks", [1, 2, 5])
@pytest.mark.parametrize("n_seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("n_wrong", [0, 1, 2])
def test_few_images_near_the_edges_never_give_a_width_of_zero(n_tasks, n_seeds, n_wrong):
    nearly_all = {f"task {t}": np.arange(20) >= n_wrong for t in range(n_tasks)}
    hardly_any = {task: ~bits for task, bits in nearly_all.items()}
    for correct in (nearly_all, hardly_any):
        scores = Scores(
            correct=dict.fromkeys(range(n_seeds), correct),
            reference=dict.fromkeys(range(n_seeds), nearly_all),
        )
        found = statistics.seed_intervals(scores, resamples=200)
        assert found.accuracy_high - found.accuracy_low > 0.02
        assert found.normalised_high - found.normalised_low > 0.02
        assert 0 <= found.accuracy_low <= found.accuracy_high <= 1


def test_seeds_that_agree_by_chance_give_no_interval_of_width_zero():
    generator = np.random.default_rng(3)
    correct = {s: {"a": generator.permutation(np.arange(400) < 200)} for s in range(3)}
    found = statistics.seed_intervals(Scores(correct=correct, reference=correct))
    # A twentieth of (1 - 0.95)'s chance: t of 2 times sqrt(0.0513 x 0.25 / 1200).
    assert found.accuracy_high - found.accuracy_low == pytest.approx(0.0281, rel=0.15)


def test_three_seeds_have_the_interval_of_students_t_worked_out_by_hand():
    # The mean is .80, the standard deviation .02, and t of 2 degrees of freedom 4.3027.
    shares = dict(enumerate([0.78, 0.80, 0.82]))
    known = {s: {"a": np.full(1200, share)} for s, share in shares.items()}
    ones = {s: {"a": np.ones(1200)} for s in shares}
    found = statistics.seed_intervals(Scores(correct=known, reference=ones))
    expected = 0.8 - 4.3027 * 0.02 / np.sqrt(3), 0.8 + 4.3027 * 0.02 / np.sqrt(3)
    assert (found.accuracy_low, found.accuracy_high) == pytest.approx(expected, abs=1e-4)
    assert (found.normalised_low, found.normalised_high) == pytest.approx(expected, abs=1e-4)


def test_images_that_all_seeds_share_add_their_variance_to_that_of_seeds():
    # Seed s is right on the first 936, 960, 984 of 1,200 images, the same images for all.
    correct = {s: {"a": np.arange(1200) < n} for s, n in enumerate([936, 960, 984])}
    ones = {s: {"a": np.ones(1200, bool)} for s in range(3)}
    found = statistics.seed_intervals(Scores(correct=correct, reference=ones), resamples=20_000)
    # The covariance of two seeds is p (1 - q) / n for p <= q, mean .152 / 1200.
    common = np.mean([0.78 * 0.20, 0.78 * 0.18, 0.80 * 0.18]) / 1200
    seeds = 0.02**2 / 3
    margin = stats.t.ppf(0.975, 2 * (common + seeds) / seeds) * np.sqrt(common + seeds)
    assert found.accuracy_high - 0.8 == pytest.approx(margin, rel=0.02)
    assert 0.8 - found.accuracy_low == pytest.approx(margin, rel=0.02)


def test_paired_images_make_the_ratio_of_equal_bits_certain():
    bits = {"a": drawn(np.random.default_rng(0), 200, 0.5)}
    intervals = statistics.score_intervals(bits, bits)
    assert (intervals.normalised_low, intervals.normalised_high) == (1.0, 1.0)
    assert intervals.accuracy_high - intervals.accuracy_low > 0.1


def test_intervals_cover_the_truth_in_93_to_97_percent_of_simulated_boards():
    generator = np.random.default_rng(20)
    n = 400
    # Joint chances of (method, expert) = (0,0), (0,1), (1,0), (1,1).
    tasks = {"a": [0.1, 0.3, 0.02, 0.58], "b": [0.3, 0.25, 0.05, 0.4], "c": [0.02, 0.1, 0.02, 0.86]}
    accuracy = np.mean([p[2] + p[3] for p in tasks.values()])
    normalised = np.mean([(p[2] + p[3]) / (p[1] + p[3]) for p in tasks.values()])
    covered = np.zeros(2)
    repetitions = 1500
    for repetition in range(repetitions):
        kinds = {task: generator.choice(4, size=n, p=p) for task, p in tasks.items()}
        found = statistics.score_intervals(
            {task: kind >= 2 for task, kind in kinds.items()},
            {task: kind % 2 == 1 for task, kind in kinds.items()},
            resamples=1000,
            seed=repetition,
        )
        covered += [
            found.accuracy_low <= accuracy <= found.accuracy_high,
            found.normalised_low <= normalised <= found.normalised_high,
        ]
    assert np.all((covered / repetitions > 0.93) & (covered / repetitions < 0.97)), covered


def test_the_disentanglement_interval_covers_when_tasks_recur_in_pairs():
    generator = np.random.default_rng(5)
    names = list(itertools.combinations("abc", 2))
    mean = {"a": 0.1, "b": 0.3, "c": 0.5}
    truth = np.mean([mean[first] + mean[second] for first, second in names])
    covered = 0
    for repetition in range(1200):
        # The disagreement of an image is much alike in all pairs its task is in.
        image = {task: generator.beta(2, 2 / m - 2, size=150) for task, m in mean.items()}
        pairs = [(image[first], image[second]) for first, second in names]
        low, high = statistics.disentanglement_interval(
            pairs, names=names, resamples=500, seed=repetition
        )
        covered += low <= truth <= high
    assert 0.93 < covered / 1200 < 0.97


def test_without_names_shared_images_are_not_paired_and_the_interval_is_narrower():
    image = np.random.default_rng(0).random(100)
    pairs = [(image, image)] * 3
    named = statistics.disentanglement_interval(pairs, names=[("a", "b")] * 3)
    alone = statistics.disentanglement_interval(pairs)
    assert alone[1] - alone[0] < 0.75 * (named[1] - named[0])


def test_arrays_of_one_task_with_different_images_are_refused():
    pairs = [(np.zeros(3), np.zeros(4)), (np.zeros(5), np.zeros(4))]
    with pytest.raises(ValueError, match="'a'"):
        statistics.disentanglement_interval(pairs, names=[("a", "b"), ("a", "b")])


@pytest.mark.parametrize(("n_seeds", "spread"), [(1, 0.0), (2, 0.0), (3, 0.01), (3, 0.05)])
def test_equal_methods_are_separated_in_at_most_five_percent_of_boards(n_seeds, spread):
    generator = np.random.default_rng(7)
    boards, n, separated = 300, 250, 0
    for board in range(boards):
        hard = generator.random(n)  # images differ in how hard they are, for all methods
        share = 0.55 + generator.normal(0, spread, size=(6, n_seeds))  # seeds differ too
        reference = {s: {"a": drawn(generator, n, 0.9)} for s in range(n_seeds)}
        scores = {
            str(m): Scores(
                correct={
                    s: {"a": (hard + generator.random(n)) / 2 < share[m, s]} for s in range(n_seeds)
                },
                reference=reference,
            )
            for m in range(6)
        }
        ranks = statistics.rank_groups(scores, resamples=200, seed=board)
        separated += any(standing.rank != 1 for standing in ranks.values())
    assert separated / boards <= 0.05


def test_methods_that_differ_much_are_ranked_and_close_ones_share():
    generator = np.random.default_rng(1)
    base = generator.random(2000)
    reference = {"a": drawn(generator, 2000, 0.95)}
    scores = {
        name: one_seed({"a": base < p}, reference)
        for name, p in [("poor", 0.4), ("good", 0.8), ("as good", 0.8005), ("middling", 0.6)]
    }
    ranks = statistics.rank_groups(scores)
    assert {name: standing.rank for name, standing in ranks.items()} == {
        "poor": 3,
        "good": 1,
        "as good": 1,
        "middling": 2,
    }
    assert (ranks["good"].n_better, ranks["good"].n_worse) == (0, 2)
    assert ranks["as good"].difference == 0
    assert ranks["poor"].difference_low < ranks["poor"].difference < ranks["poor"].difference_high
    assert ranks["poor"].difference_high < 0
    assert list(ranks) == list(scores)


def test_identical_methods_share_a_rank_with_certainty():
    generator = np.random.default_rng(1)
    correct, reference = {"a": drawn(generator, 50, 0.5)}, {"a": drawn(generator, 50, 0.9)}
    ranks = statistics.rank_groups({n: one_seed(correct, reference) for n in "xyz"})
    assert {(r.rank, r.n_better, r.p_value, r.difference) for r in ranks.values()} == {
        (1, 0, 1.0, 0.0)
    }


def test_one_image_cannot_separate_two_methods():
    one, zero = {"a": np.array([True])}, {"a": np.array([False])}
    ranks = statistics.rank_groups({"x": one_seed(one, one), "y": one_seed(zero, one)})
    assert [standing.rank for standing in ranks.values()] == [1, 1]


def test_thirty_methods_can_be_separated_in_spite_of_the_correction():
    generator = np.random.default_rng(2)
    base = generator.random(5000)
    reference = {"a": np.ones(5000, bool)}
    scores = {str(m): one_seed({"a": base < 0.2 + 0.02 * m}, reference) for m in range(30)}
    ranks = statistics.rank_groups(scores, resamples=500)
    assert [standing.rank for standing in ranks.values()] == list(range(30, 0, -1))


def test_three_seeds_widen_the_interval_by_the_spread_between_them():
    generator = np.random.default_rng(4)
    reference = {s: {"a": np.ones(5000, bool)} for s in range(3)}
    correct = {s: {"a": drawn(generator, 5000, p)} for s, p in enumerate([0.5, 0.6, 0.7])}
    three = statistics.seed_intervals(Scores(correct=correct, reference=reference))
    two = statistics.seed_intervals(
        Scores(correct={s: correct[s] for s in (0, 2)}, reference={s: reference[s] for s in (0, 2)})
    )
    assert two.accuracy_high - two.accuracy_low < 0.03
    assert three.accuracy_high - three.accuracy_low > 0.1


def test_competitors_with_other_tasks_images_or_seeds_are_refused():
    bits = np.ones(4, bool)
    first = one_seed({"a": bits}, {"a": bits})
    for other in (
        one_seed({"b": bits}, {"b": bits}),
        one_seed({"a": bits[:3]}, {"a": bits[:3]}),
        Scores(correct={1: {"a": bits}}, reference={1: {"a": bits}}),
    ):
        with pytest.raises(ValueError, match="must share"):
            statistics.rank_groups({"first": first, "other": other})


SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5])


def told_apart(*pairs, n=5):
    apart = np.zeros((n, n), bool)
    for i, j in pairs:
        apart[i, j] = apart[j, i] = True
    return apart


@pytest.mark.parametrize(
    ("pairs", "ranks"),
    [
        ([], [1, 1, 1, 1, 1]),
        # The opener is told from the third; that the second is not makes no difference.
        ([(0, 2), (0, 3), (0, 4)], [1, 1, 2, 2, 2]),
        ([(0, 2), (0, 3), (0, 4), (2, 4)], [1, 1, 2, 2, 3]),
        # A pair within a tier may be told apart; the tier is that of its opener.
        ([(1, 2), (0, 3), (0, 4), (3, 4)], [1, 1, 1, 2, 3]),
        # The last cannot be told from the best, so that all between belong to its tier.
        ([(0, 2), (0, 3)], [1, 1, 1, 1, 1]),
        (list(itertools.combinations(range(5), 2)), [1, 2, 3, 4, 5]),
    ],
)
def test_tiers_worked_out_by_hand(pairs, ranks):
    assert statistics.tiers(SCORES, told_apart(*pairs)).tolist() == ranks
    turned = statistics.tiers(SCORES[::-1], told_apart(*pairs)[::-1, ::-1])
    assert turned[::-1].tolist() == ranks


def test_equal_scores_open_a_tier_together_in_any_order():
    scores = np.array([0.9, 0.9, 0.8])
    for order in itertools.permutations(range(3)):
        apart = told_apart((0, 2), n=3)[np.ix_(order, order)]
        assert statistics.tiers(scores[list(order)], apart).tolist() == [1, 1, 1]


@settings(max_examples=200, deadline=None)
@given(
    scores=st_numpy.arrays(np.float64, 8, elements=st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8])),
    apart=st_numpy.arrays(np.bool_, (8, 8), elements=st.booleans()),
)
def test_ranks_never_run_backwards_and_no_tier_is_skipped(scores, apart):
    apart &= scores[:, None] != scores[None, :]
    ranks = statistics.tiers(scores, apart | apart.T)
    in_order = ranks[np.argsort(-scores, kind="stable")]
    assert in_order[0] == 1
    assert set(np.diff(in_order)) <= {0, 1}
    for rank in range(2, ranks.max() + 1):  # no row of a later tier ties with an earlier opener
        opener = max(scores[ranks == rank - 1])
        openers = (ranks == rank - 1) & (scores == opener)
        assert (apart | apart.T)[np.ix_(openers, ranks == rank)].all()


def test_no_competitors_give_no_ranks():
    assert statistics.rank_groups({}) == {}


bits_of_boards = st_numpy.arrays(
    np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(bits=bits_of_boards, permutation=st.randoms(use_true_random=False))
def test_ranks_are_sound_and_do_not_depend_on_the_order(bits, permutation):
    reference = {"a": bits.any(axis=0)}
    scores = {str(m): one_seed({"a": row}, reference) for m, row in enumerate(bits)}
    ranks = statistics.rank_groups(scores, resamples=50)
    best = max(scores, key=lambda name: ranks[name].normalised_accuracy)
    assert ranks[best].rank == 1
    for standing in ranks.values():
        assert 1 <= standing.rank <= len(scores)
        assert standing.n_better + standing.n_worse < len(scores)
        assert 0 <= standing.p_value <= 1
        assert standing.difference <= 0
        assert standing.difference_low <= standing.difference <= standing.difference_high
        assert standing.intervals.accuracy_low <= standing.intervals.accuracy_high
    shuffled = list(scores)
    permutation.shuffle(shuffled)
    again = statistics.rank_groups({name: scores[name] for name in shuffled}, resamples=50)
    assert {name: again[name].rank for name in scores} == {n: r.rank for n, r in ranks.items()}


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    share=st.floats(0, 1),
    of_experts=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_score_intervals_are_ordered_finite_and_repeatable(n, share, of_experts, seed):
    generator = np.random.default_rng(seed)
    correct, reference = {"a": drawn(generator, n, share)}, {"a": drawn(generator, n, of_experts)}
    found = statistics.score_intervals(correct, reference, resamples=50, seed=seed)
    assert 0 <= found.accuracy_low <= found.accuracy_high <= 1
    assert 0 <= found.normalised_low <= found.normalised_high < np.inf
    assert found == statistics.score_intervals(correct, reference, resamples=50, seed=seed)
