"""Whether an expert can be what it is taken for, by its accuracies before anything is merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np

from taskmark.errors import TaskmarkError
from taskmark.statistics.intervals import proportion_interval
from taskmark.store.recording import note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

LEVEL = 0.01
"""How often chance alone may raise one of the doubts below about one task."""

LEAST_SHARE = 0.1
"""An expert removes at least this share of the errors of the model that it comes from."""

TEST_ABOVE = 0.05
"""Accuracy on test may exceed that on validation by so much, beyond chance."""

TEST_BELOW = 0.15
"""Accuracy on test may fall short of that on validation by so much, beyond chance."""

_Z = NormalDist().inv_cdf(1 - LEVEL / 2)  # standard errors

Kind = Literal["no better", "too good", "weak", "test above", "test below"]
"""What is doubtful: see `doubts`."""

_STOPS: frozenset[Kind] = frozenset({"too good", "test above", "test below"})

_MEANING: dict[Kind, str] = {
    "no better": "it may be another task's expert, or have another order of labels",
    "too good": "test images may have been trained on",
    "weak": "it may have been tuned for too short a time",
    "test above": "test images may have been trained on",
    "test below": "validation images may have been trained on, or the test split is another",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """What an expert did on its own task, with the suite's head.

    Attributes:
        task: its name.
        validation: which images of validation it got right, [V].
        test: which of test, [N].
        pretrained: which of validation the pre-trained model got right, [V].
        most_common: which of validation have the most common class, [V].
        clean_range: the accuracies on test, of which the suite says that clean experts have them;
            None if it says nothing.
    """

    task: str
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]
    pretrained: NDArray[np.bool_]
    most_common: NDArray[np.bool_]
    clean_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason to doubt one expert, as a part of a sentence."""

    task: str
    kind: Kind
    reason: str

    def __str__(self) -> str:
        """The reason with what it may mean."""
        return f"{self.task} {self.reason}: {_MEANING[self.kind]}"


def doubts(scored: Scored) -> list[Doubt]:
    """Say what is doubtful about an expert.

    "no better": the images of validation exclude, at 99 %, that it removes a tenth of the errors of
    the pre-trained model with the same head, or of always answering with the most common class.
    "too good", "weak": the 99 % interval of its accuracy on test lies above, below the range of the
    suite. "test above", "test below": its accuracies on test and on validation differ by more than
    the margin and 2.58 standard errors.
    """
    found: list[Doubt] = []
    own = float(scored.validation.mean())

    def doubt(kind: Kind, reason: str) -> None:
        found.append(Doubt(scored.task, kind, reason))

    for reference, name in (
        (scored.pretrained, "the pre-trained model with the same head"),
        (scored.most_common, "always answering with the most common class"),
    ):
        theirs = float(reference.mean())
        if largest_gain(scored.validation, reference) < LEAST_SHARE * (1 - theirs):
            doubt("no better", f"has {own:.1%} right on validation, and {name} {theirs:.1%}")
            break
    on_test = float(scored.test.mean())
    if scored.clean_range is not None:
        least, most = scored.clean_range
        low, high = proportion_interval(int(scored.test.sum()), len(scored.test), level=LEVEL)
        observed = f"has {on_test:.1%} right on test, and clean experts {least:.0%} to {most:.0%}"
        if low > most:
            doubt("too good", observed)
        elif high < least:
            doubt("weak", observed)
    chance = _Z * math.hypot(_error(scored.validation), _error(scored.test))
    observed = f"has {on_test:.1%} right on test and {own:.1%} on validation"
    if on_test - own > TEST_ABOVE + chance:
        doubt("test above", observed)
    elif own - on_test > TEST_BELOW + chance:
        doubt("test below", observed)
    return found


def largest_gain(expert: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Upper end of the 99 % interval of a difference of accuracies on the same images.

    Half an image is added to each of the four cells of the paired table (Agresti and Min 2005), so
    that few images, or none that differ, do not make it certain.

    Args:
        expert: which images the one got right, [V].
        reference: which the other did, [V].
    """
    won = float(np.sum(expert & ~reference)) + 0.5
    lost = float(np.sum(~expert & reference)) + 0.5
    n = len(expert) + 2
    difference = (won - lost) / n
    return difference + _Z * math.sqrt(won + lost - (won - lost) ** 2 / n) / n


def judge(
    experts: Iterable[Scored], *, foreign: bool, read_as_tuned: bool, accepted: str | None
) -> None:
    """Stop the run where an expert is not what it is taken for, and note what else is doubtful.

    That an expert is no better than the model it comes from stops a run only where somebody else
    tuned it, and only where it is read as it was tuned: tuning has little to work with on random
    weights, and the linearised model may fail with weights that were tuned in another one.

    Args:
        experts: what each of them did.
        foreign: whether they were brought along.
        read_as_tuned: whether they are read in the model in which they were tuned.
        accepted: why the user goes on nevertheless.

    Raises:
        TaskmarkError: if an expert is not to be trusted and nobody said why it is.
    """
    found = [doubt for scored in experts for doubt in doubts(scored)]
    stops: Sequence[Kind] = (*_STOPS, "no better") if foreign and read_as_tuned else (*_STOPS,)
    stopping = [doubt for doubt in found if doubt.kind in stops]
    if stopping and accepted is None:
        raise TaskmarkError(
            f"Nothing was merged, for an expert is not what it should be ({_listed(stopping)}); "
            "bring another, or say why it is right with --accept-experts."
        )
    if stopping:
        note(f"Experts accepted ({accepted}) although: {_listed(stopping)}.")
    if rest := [doubt for doubt in found if doubt.kind not in stops]:
        note(f"Experts to be careful with: {_listed(rest)}.")


def _listed(found: Sequence[Doubt]) -> str:
    return "; ".join(map(str, found))


def _error(correct: NDArray[np.bool_]) -> float:
    """Standard error of a proportion, half an image away from certainty."""
    share = (float(correct.sum()) + 0.5) / (len(correct) + 1)
    return math.sqrt(share * (1 - share) / len(correct))
