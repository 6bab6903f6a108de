"""The text of pre-training: easy items, broad lines, and a share of hard items."""

from __future__ import annotations

import string
from functools import lru_cache
from typing import TYPE_CHECKING

from taskmark.suites.mini_language import generated_tasks as tasks
from taskmark.suites.mini_language.alphabet import END
from taskmark.suites.mini_language.words import CATEGORIES

if TYPE_CHECKING:
    from numpy.random import Generator

SEED = 20261202
BROAD = 0.25
"""The share of lines that belong to no task."""

_WORDS = tuple(word for words in CATEGORIES.values() for word in words)
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_DO = ["sees", "likes", "finds", "takes", "hears"]


def lines(step: int, n_lines: int, *, hard: float, broad: float = BROAD) -> list[str]:
    """The lines of one step, which depend on the step and the settings alone.

    Args:
        step: of the training.
        n_lines: how many.
        hard: the share of items that are as hard as those of the tasks.
        broad: the share of lines that belong to no task.
    """
    rng = tasks.stream(SEED, step)
    return [_line(rng, hard, broad) for _ in range(n_lines)]


def _line(rng: Generator, hard: float, broad: float) -> str:
    if rng.random() < broad:
        return _broad_line(rng) + END
    task = tasks.TASKS[int(rng.integers(len(tasks.TASKS)))]
    is_hard = bool(rng.random() < hard)
    while True:
        item = tasks.DRAW[task](rng, hard=is_hard)
        if item.prompt not in _held_out():
            return item.prompt + item.answer + END


def _broad_line(rng: Generator) -> str:
    """A line of counting, the alphabet, lists of one kind, sentences, or copying."""
    kind = int(rng.integers(5))
    if kind == 0:
        start = int(rng.integers(0, 6))
        return " ".join(_NUMBERS[start : start + int(rng.integers(3, 6))])
    if kind == 1:
        start, n = int(rng.integers(0, 20)), int(rng.integers(4, 7))
        return " ".join(string.ascii_lowercase[start : start + n])
    if kind == 2:  # noqa: PLR2004
        names = list(CATEGORIES)
        words = CATEGORIES[names[int(rng.integers(len(names)))]]
        return ", ".join(words[k] for k in rng.permutation(len(words))[: int(rng.integers(3, 6))])
    if kind == 3:  # noqa: PLR2004
        first, second, third = (_WORDS[int(rng.integers(len(_WORDS)))] for _ in range(3))
        verb = _DO[int(rng.integers(len(_DO)))]
        return f"the {first} {verb} the {second} and the {third}."
    word = _WORDS[int(rng.integers(len(_WORDS)))]
    return f"{word}, {word}, {word}."


@lru_cache(maxsize=1)
def _held_out() -> frozenset[str]:
    """The prompts of validation and test of all tasks."""
    splits = ("validation", "test")
    return frozenset(
        item.prompt for task in tasks.TASKS for split in splits for item in tasks.items(task)[split]
    )
