"""The scale search: equal trials, and a choice on validation alone."""

from __future__ import annotations

import pytest
import torch
from tiny_setting import setting_of

from taskmark import Edit, Head
from taskmark.inference.items import Items
from taskmark.inference.racing import Racing, race
from taskmark.inference.readers import reader
from taskmark.inference.scale_search import best, candidates, predict, search
from taskmark.records.record import Trial


def _trials(*pairs):
    return [Trial(scale=s, n_images=60, accuracy=0.5, normalised_accuracy=a) for s, a in pairs]


def test_candidates_are_evenly_spaced_with_both_ends():
    assert candidates((0.0, 2.0), 5) == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert candidates((0.0, 1.0), 21)[7] == 0.35
    assert candidates(None, 21) == (1.0,)


def test_the_highest_normalised_accuracy_wins():
    assert best(_trials((0.0, 0.3), (0.5, 0.9), (1.0, 0.8))).scale == 0.5


def test_of_equal_trials_the_smallest_scale_wins():
    assert best(_trials((1.0, 0.9), (0.5, 0.9), (0.75, 0.9), (0.25, 0.8))).scale == 0.5
    assert best(_trials((-0.5, 0.9), (0.25, 0.9), (1.0, 0.9))).scale == 0.25


def test_trials_that_were_not_read_on_all_images_cannot_win():
    whole = _trials((0.5, 0.7), (1.0, 0.8))
    part = Trial(scale=0.75, n_images=59, accuracy=0.5, normalised_accuracy=0.99)
    assert best([*whole, part]).scale == 1.0


@pytest.fixture
def stage(encoder, inputs):
    encoder = encoder.float()
    setting = setting_of(encoder)
    source = torch.Generator().manual_seed(8)
    splits = {
        task: Items(
            Head(torch.randn(3, 8, generator=source), torch.zeros(3)),
            inputs.float() + shift,
            torch.arange(20) % 3,
        )
        for task, shift in (("hills", 0.0), ("lakes", 1.0))
    }
    vectors = [0.3 * torch.randn(setting.space.size, generator=source) for _ in range(2)]
    return reader("standard", setting), splits, vectors


def test_the_curve_is_the_accuracy_at_each_scale_over_the_experts(stage):
    read, splits, (vector, _) = stage
    trials = search(read, Edit(vector), splits, {"hills": 0.5, "lakes": 0.8}, (0.0, 1.0, 2.0))
    for trial in trials:
        accuracies = []
        for split in splits.values():
            with torch.no_grad():
                classes = split.head.predict(read.features(trial.scale * vector, split.inputs))
            accuracies.append(float((classes == split.targets).double().mean()))
        ratios = (accuracies[0] / 0.5, accuracies[1] / 0.8)
        assert trial.accuracy == pytest.approx(sum(accuracies) / 2)
        assert trial.normalised_accuracy == pytest.approx(sum(ratios) / 2)
    assert len({trial.accuracy for trial in trials}) > 1


def test_an_expert_that_is_never_right_counts_as_right_once(stage):
    read, splits, (vector, _) = stage
    once = 1 / len(splits["hills"])
    (never,) = search(read, Edit(vector), splits, {"hills": 0.0, "lakes": 1.0}, (1.0,))
    (right,) = search(read, Edit(vector), splits, {"hills": once, "lakes": 1.0}, (1.0,))
    assert never.normalised_accuracy == right.normalised_accuracy > 0


def test_own_heads_replace_the_suites(stage):
    read, splits, (vector, _) = stage
    always = Head(torch.zeros(3, 8), torch.tensor([0.0, 0.0, 1.0]))
    classes = predict(read, Edit(vector, heads={"lakes": always}), splits, (0.0, 1.0))
    assert classes["lakes"].eq(2).all()
    assert torch.equal(classes["hills"], predict(read, Edit(vector), splits, (0.0, 1.0))["hills"])


@pytest.mark.parametrize("own", [("lakes",), ("hills", "lakes")])
def test_vectors_per_task_replace_the_merged_one(stage, own):
    read, splits, (vector, other) = stage
    edit = Edit(vector, per_task=dict.fromkeys(own, other))
    classes = predict(read, edit, splits, (0.5, 1.0))
    merged, apart = (predict(read, Edit(v), splits, (0.5, 1.0)) for v in (vector, other))
    assert list(classes) == list(splits)
    for task in splits:
        assert torch.equal(classes[task], (apart if task in own else merged)[task])
    assert not torch.equal(merged["lakes"], apart["lakes"])


# Races: images with a difficulty, and a reader whose skill depends on the scale.

SCALES = candidates((0.0, 1.0), 21)
EXPERTS = {"hills": 0.9, "lakes": 0.3, "woods": 0.6}
ANY_HEAD = Head(torch.zeros(2, 1), torch.zeros(2))
ANY_EDIT = Edit(torch.zeros(1))


class Skill:
    """Right (class 1) on images below a height that peaks at the scale 0.4."""

    def __init__(self) -> None:
        self.n_read = 0

    def predict(self, _vector, scales, work, _at=None):
        self.n_read += len(scales) * sum(map(len, work.values()))
        return {
            task: torch.stack([(own.inputs < 0.8 - 1.2 * (s - 0.4) ** 2).long() for s in scales])
            for task, own in work.items()
        }


def _difficulties(*sizes: int) -> dict[str, Items]:
    source = torch.Generator().manual_seed(3)
    return {
        task: Items(ANY_HEAD, torch.rand(n, generator=source), torch.ones(n, dtype=torch.long))
        for task, n in zip(EXPERTS, sizes, strict=False)
    }


def test_a_race_finds_the_exact_winner_with_less_than_half_the_readings():
    splits = _difficulties(400, 500, 130)
    exact = search(Skill(), ANY_EDIT, splits, EXPERTS, SCALES)
    read = Skill()
    raced = race(read, ANY_EDIT, splits, EXPERTS, SCALES, Racing(seed=0, block=128))
    assert best(raced) == best(exact)
    assert [trial.scale for trial in raced] == list(SCALES)
    assert read.n_read == sum(trial.n_images for trial in raced) < 21 * 1030 / 2
    for one, other in zip(raced, exact, strict=True):
        assert one == other or one.n_images < other.n_images == 1030
        assert one.accuracy == pytest.approx(other.accuracy, abs=0.15)


def test_a_race_that_may_not_err_is_the_exact_search():
    splits = _difficulties(40, 50, 13)
    exact = search(Skill(), ANY_EDIT, splits, EXPERTS, SCALES)
    never = Racing(seed=0, block=7, error=1e-300)
    assert race(Skill(), ANY_EDIT, splits, EXPERTS, SCALES, never) == exact


def test_the_order_of_a_race_follows_from_its_seed_alone():
    splits = _difficulties(400, 500, 130)
    first, again, other = (
        race(Skill(), ANY_EDIT, splits, EXPERTS, SCALES, Racing(seed=seed, block=64))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert [t.n_images for t in first] != [t.n_images for t in other]


def test_a_race_weighs_images_as_the_objective_does():
    """One task counts thirty times another, and wants the other end of the scales."""

    class Opposed(Skill):
        def predict(self, _vector, scales, work, _at=None):
            height = {"hills": lambda s: 0.9 - 0.5 * s, "lakes": lambda s: 0.1 + 0.5 * s}
            return {
                task: torch.stack([(own.inputs < height[task](s)).long() for s in scales])
                for task, own in work.items()
            }

    splits = _difficulties(600, 600)
    for experts, winner in (
        ({"hills": 0.9, "lakes": 0.03}, 1.0),
        ({"hills": 0.03, "lakes": 0.9}, 0),
    ):
        raced = race(Opposed(), ANY_EDIT, splits, experts, SCALES, Racing(seed=0, block=64))
        assert best(raced).scale == winner
        assert best(search(Opposed(), ANY_EDIT, splits, experts, SCALES)).scale == winner
        assert min(trial.n_images for trial in raced) < 1200


def test_a_race_reads_own_heads_and_vectors_per_task(stage):
    read, splits, (vector, other) = stage
    always = Head(torch.zeros(3, 8), torch.tensor([0.0, 0.0, 1.0]))
    edit = Edit(vector, heads={"hills": always}, per_task={"lakes": other})
    experts = {"hills": 0.5, "lakes": 0.8}
    raced = race(read, edit, splits, experts, (0.0, 1.0, 2.0), Racing(seed=0, block=9))
    exact = search(read, edit, splits, experts, (0.0, 1.0, 2.0))
    whole = [trial for trial in raced if trial.n_images == 40]
    assert whole
    assert all(trial in exact for trial in whole)
