"""Items of text, and how they become the arrays of a task."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from taskmark.errors import TaskmarkError
from taskmark.suites.mini_language.alphabet import ANSWER, ANSWER_TOKEN, END, PADDING, padded
from taskmark.suites.task_data import Split, TaskData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class TextItem:
    """A prompt with its answer, which is one of some options where there are any.

    The prompt ends with "="; answer and options end where their line does.
    """

    prompt: str
    answer: str
    options: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The prompt, and each option, or the answer where there is none."""
        return (self.prompt, *(text + END for text in self.options or (self.answer,)))


def check_items(task: str, splits: Mapping[str, Sequence[TextItem]]) -> None:
    """See that items are sound.

    Raises:
        TaskmarkError: if an option begins another one, if the answer is none of them, if a prompt
            does not end as it should, or is there twice.
    """
    places: dict[str, str] = {}
    for split, items in splits.items():
        for item in items:
            where = f"The prompt {item.prompt!r} of the task {task!r}"
            if item.prompt.count(ANSWER) != 1 or not item.prompt.endswith(ANSWER):
                raise TaskmarkError(f"{where} must end with {ANSWER!r}, and have it nowhere else.")
            if item.prompt in places:
                raise TaskmarkError(
                    f"{where} is in {places[item.prompt]} and in {split}; draw the splits without "
                    "repetition."
                )
            places[item.prompt] = split
            if item.options:
                _check_options(item, where)


def _check_options(item: TextItem, where: str) -> None:
    ordered = sorted(item.options)
    for shorter, longer in pairwise(ordered):
        if longer.startswith(shorter):
            raise TaskmarkError(
                f"{where} has the options {shorter!r} and {longer!r}, of which one begins the "
                "other and wins wherever ends of lines are not scored; choose others."
            )
    if item.answer not in item.options:
        raise TaskmarkError(f"{where} has the answer {item.answer!r}, which is no option; add it.")


def task_data(task: str, splits: Mapping[str, Sequence[TextItem]]) -> TaskData:
    """The arrays of a task.

    With options, inputs [N, 3, L] are the tokens of the prompt and then of all options, the place
    of each token in its own line, and which option it is of, counted from 1: 0 is the prompt and -1
    padding. So the prompt is read once for all options. The label is the index of the right one,
    [N]. Without, inputs are the lines [N, L], which hold their answer, and labels are their tokens
    [N, L] from the answer on and -100 before, as transformers has them. `prompts` are
    the same lines up to where the answer begins.

    Raises:
        TaskmarkError: if items are not sound, see `check_items`.
    """
    check_items(task, splits)
    everything = [item for items in splits.values() for item in items]
    length = max(len("".join(item.parts)) for item in everything)
    return TaskData((), (), *(_split(splits[name], length) for name in SPLITS))


def _split(items: Sequence[TextItem], length: int) -> Split:
    tokens = padded(("".join(item.parts) for item in items), length)
    if items[0].options:
        labels = np.array([item.options.index(item.answer) for item in items], np.int64)
        places, owners = np.zeros_like(tokens), np.full_like(tokens, -1)
        for row, item in enumerate(items):
            start, at = len(item.prompt), 0
            for number, part in enumerate(item.parts):
                own = slice(at, at + len(part))
                places[row, own] = np.arange(len(part)) + (start if number else 0)
                owners[row, own] = number
                at += len(part)
        return Split(np.stack([tokens, places, owners], axis=1), labels)
    begun = np.cumsum(tokens == ANSWER_TOKEN, axis=1) > 0
    is_answer = begun & (tokens != ANSWER_TOKEN) & (tokens != PADDING)
    return Split(
        tokens,
        np.where(is_answer, tokens, -100),
        prompts=np.where(is_answer, PADDING, tokens),
    )
