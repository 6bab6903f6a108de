"""Experts are judged by what their images allow: planted faults are found, and sound ones pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmark.errors import TaskmarkError
from taskmark.stages.expert_checks import Scored, doubts, judge, largest_gain
from taskmark.store.recording import recording


def bits(share: float, n: int, seed: int = 0) -> np.ndarray:
    """Exactly that share of n images, in an order of their own."""
    right = np.zeros(n, dtype=np.bool_)
    right[: round(share * n)] = True
    return np.random.default_rng(seed).permutation(right)


def scored(
    *,
    validation: float = 0.9,
    test: float = 0.9,
    pretrained: float = 0.6,
    most_common: float = 0.1,
    n: int = 2000,
    clean_range: tuple[float, float] | None = None,
) -> Scored:
    return Scored(
        task="signs",
        validation=bits(validation, n, 1),
        test=bits(test, n, 2),
        pretrained=bits(pretrained, n, 3),
        most_common=bits(most_common, n, 4),
        clean_range=clean_range,
    )


def kinds(found: Scored) -> list[str]:
    return [doubt.kind for doubt in doubts(found)]


SOUND = {
    "a usual expert": scored(),
    "one that has little left to learn": scored(
        validation=0.978, test=0.976, pretrained=0.971, n=500
    ),
    "one of few images": scored(validation=0.7, test=0.6, pretrained=0.65, n=40),
    "one within its range": scored(validation=0.82, test=0.81, clean_range=(0.79, 0.85)),
    "one at the end of its range": scored(validation=0.85, test=0.86, clean_range=(0.79, 0.85)),
    "one whose test split is harder": scored(validation=0.97, test=0.88),
    "one that gets everything right": scored(validation=1.0, test=1.0),
}


@pytest.mark.parametrize("found", SOUND.values(), ids=SOUND)
def test_sound_experts_raise_no_doubt(found):
    assert kinds(found) == []


PLANTED = {
    "another task's expert": (scored(validation=0.35, test=0.34, pretrained=0.6), "no better"),
    "another order of labels": (scored(validation=0.02, test=0.02, pretrained=0.3), "no better"),
    "the pre-trained model itself": (scored(validation=0.6, test=0.6), "no better"),
    "at chance where the model was below": (
        scored(validation=0.5, test=0.5, pretrained=0.3, most_common=0.5),
        "no better",
    ),
    "trained on test": (
        scored(validation=0.95, test=0.98, clean_range=(0.79, 0.85)),
        "too good",
    ),
    "tuned too little": (scored(validation=0.7, test=0.7, clean_range=(0.79, 0.85)), "weak"),
    "test known, validation not": (scored(validation=0.8, test=0.98), "test above"),
    "validation known": (scored(validation=0.999, test=0.79), "test below"),
}


@pytest.mark.parametrize(("found", "kind"), PLANTED.values(), ids=PLANTED)
def test_planted_faults_are_found(found, kind):
    assert kinds(found) == [kind]


def test_the_pretrained_model_itself_is_found_however_few_images_there_are():
    same = bits(0.6, 30)
    assert largest_gain(same, same) < 0.1
    assert largest_gain(bits(1.0, 2000), bits(1.0, 2000)) < 0.01


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
)
def test_the_largest_gain_is_above_the_gain_and_does_not_depend_on_order(pairs, seed):
    expert, reference = np.array(pairs, dtype=np.bool_).T
    gain = expert.mean() - reference.mean()
    found = largest_gain(expert, reference)
    assert found > gain * len(pairs) / (len(pairs) + 2)
    order = np.random.default_rng(seed).permutation(len(pairs))
    assert largest_gain(expert[order], reference[order]) == found


def test_the_largest_gain_of_a_table_worked_out_by_hand():
    expert = np.array([True] * 30 + [False] * 10 + [True] * 50 + [False] * 10)
    reference = np.array([False] * 30 + [True] * 10 + [True] * 50 + [False] * 10)
    # won 30.5, lost 10.5 of 102: 20 / 102 + 2.5758 sqrt(41 - 400 / 102) / 102
    assert largest_gain(expert, reference) == pytest.approx(0.196078 + 0.153773, abs=1e-5)


def how(**choice):
    return {"foreign": True, "read_as_tuned": True, "accepted": None, **choice}


def test_a_foreign_expert_that_is_no_better_stops_the_run_in_one_sentence():
    bad = scored(validation=0.35, test=0.34)
    with pytest.raises(TaskmarkError, match=r"signs has 35\.0% .* 60\.0%: .*another order of") as e:
        judge([SOUND["a usual expert"], bad], **how())
    assert str(e.value).count("--accept-experts") == 1


@pytest.mark.parametrize("choice", [{"foreign": False}, {"read_as_tuned": False}])
def test_one_that_was_tuned_here_or_is_read_in_another_model_is_noted_alone(choice):
    with recording("a") as account:
        judge([scored(validation=0.6, test=0.6)], **how(**choice))
    (note,) = account.notes
    assert note.startswith("Experts to be careful with: signs has 60.0% right on validation")


@pytest.mark.parametrize("foreign", [True, False])
@pytest.mark.parametrize("name", ["trained on test", "test known, validation not"])
def test_test_images_that_were_trained_on_stop_any_run(name, foreign):
    with pytest.raises(TaskmarkError, match="test images may have been trained on"):
        judge([PLANTED[name][0]], **how(foreign=foreign))


def test_a_weak_expert_is_noted_and_a_sound_one_is_not():
    with recording("a") as account:
        judge([SOUND["a usual expert"]], **how())
        assert not account.notes
        judge([PLANTED["tuned too little"][0]], **how())
    assert "tuned for too short a time" in "".join(account.notes)


def test_who_accepts_an_expert_says_why_and_is_quoted():
    with recording("a") as account:
        judge([PLANTED["validation known"][0]], **how(accepted="tuned on the whole train split"))
    (note,) = account.notes
    assert note.startswith("Experts accepted (tuned on the whole train split) although: signs has")
