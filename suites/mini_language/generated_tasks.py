"""The eleven generated tasks: each draws a prompt and its answer at an easy or at its own level.

Pre-training sees the easy level, and as much of the hard one as a backbone's recipe says; the tasks
themselves are of the hard one.
"""

from __future__ import annotations

import string
from functools import lru_cache
from typing import TYPE_CHECKING

from numpy.random import PCG64, Generator, SeedSequence

from taskmark.suites.mini_language.text_items import TextItem, task_data
from taskmark.suites.mini_language.words import (
    ADJECTIVES,
    AGREEING,
    BAD,
    CATEGORIES,
    FOREIGN,
    GOOD,
    NEAR,
    NOUNS,
    PARTS_OF_FILMS,
    VERBS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from taskmark.suites.task_data import TaskData

SEED = 20261201
SIZES = {"train": 1280, "validation": 150, "test": 400}

_LETTERS = string.ascii_lowercase
_BRACKETS = dict(zip("([{", ")]}", strict=True))


def _draw_reverse(rng: Generator, *, hard: bool) -> TextItem:
    """Letters backwards."""
    word = _letters(rng, _between(rng, 3, 6) if hard else _between(rng, 1, 3))
    return TextItem(f"reverse {word}=", word[::-1])


def _draw_sort(rng: Generator, *, hard: bool) -> TextItem:
    """Digits in ascending order."""
    n = _between(rng, 3, 6) if hard else _between(rng, 2, 3)
    digits = "".join(map(str, rng.integers(0, 10, n)))
    return TextItem(f"sort {digits}=", "".join(sorted(digits)))


def _draw_add(rng: Generator, *, hard: bool) -> TextItem:
    """A sum of two numbers."""
    low, high = (5, 75) if hard else (0, 12)
    first, second = _between(rng, low, high), _between(rng, low, high)
    return TextItem(f"add {first}+{second}=", str(first + second))


def _draw_code(rng: Generator, *, hard: bool) -> TextItem:
    """Each letter's successor in the alphabet, a after z."""
    word = _letters(rng, _between(rng, 2, 5) if hard else _between(rng, 1, 2))
    after = str.maketrans(_LETTERS, _LETTERS[1:] + _LETTERS[0])
    return TextItem(f"code {word}=", word.translate(after))


def _draw_say(rng: Generator, *, hard: bool) -> TextItem:
    """Adjectives, noun, verb, in a made-up language that has verb, noun, adjectives."""
    adjectives = _some(rng, ADJECTIVES, _between(rng, 1, 2) if hard else 0)
    verb = _some(rng, VERBS, 1 if hard else _between(rng, 0, 1))
    words = [*adjectives, _one(rng, NOUNS), *verb]
    said = " ".join(FOREIGN[word] for word in reversed(words))
    return TextItem(f"say {' '.join(words)}=", said)


def _draw_close(rng: Generator, *, hard: bool) -> TextItem:
    """The brackets that are still open, closed from within."""
    n_open = _between(rng, 2, 5) if hard else _between(rng, 1, 2)
    is_open = [_one(rng, tuple(_BRACKETS)) for _ in range(n_open)]
    written = "".join(is_open)
    for _ in range(_between(rng, 0, 3 if hard else 1)):
        place, bracket = _between(rng, 0, len(written)), _one(rng, tuple(_BRACKETS))
        written = written[:place] + bracket + _BRACKETS[bracket] + written[place:]
    return TextItem(f"close {written}=", "".join(_BRACKETS[each] for each in reversed(is_open)))


def _draw_mood(rng: Generator, *, hard: bool) -> TextItem:
    """Good or bad: what follows "but" counts, and what follows "though" does not."""
    n_clauses = _between(rng, 2, 3) if hard else 1
    text, mood = "", ""
    for place, part in enumerate(_some(rng, PARTS_OF_FILMS, n_clauses)):
        own = _one(rng, ("good", "bad"))
        link = _one(rng, ("but", "though")) if place else ""
        text += f" {link}" * bool(link) + f" {part} {_one(rng, GOOD if own == 'good' else BAD)}"
        mood = mood if link == "though" else own
    return TextItem(f"mood{text}=", mood, ("good", "bad"))


def _draw_odd(rng: Generator, *, hard: bool) -> TextItem:
    """The word that is of another kind than the others."""
    many, one = _some(rng, tuple(CATEGORIES), 2)
    words = [*_some(rng, CATEGORIES[many], 3 if hard else 2), _one(rng, CATEGORIES[one])]
    odd = words[-1]
    rng.shuffle(words)
    return TextItem(f"odd {' '.join(words)}=", odd, tuple(words))


def _draw_count(rng: Generator, *, hard: bool) -> TextItem:
    """How often a letter occurs."""
    n = _between(rng, 4, 9) if hard else _between(rng, 3, 5)
    letter, other = _some(rng, tuple(_LETTERS), 2)
    alphabet = (letter, other, *_some(rng, tuple(_LETTERS), 2))
    word = "".join(_one(rng, alphabet) for _ in range(n))
    return TextItem(f"count {letter} {word}=", str(word.count(letter)))


def _draw_agree(rng: Generator, *, hard: bool) -> TextItem:
    """The verb that agrees with the first noun, whatever nouns follow."""
    n_phrases = _between(rng, 2, 3) if hard else _between(rng, 0, 1)
    is_plural = rng.random(n_phrases + 1) < 0.5  # noqa: PLR2004
    nouns = _some(rng, AGREEING, n_phrases + 1)
    named = [noun + "s" * plural for noun, plural in zip(nouns, is_plural.tolist(), strict=True)]
    rest = "".join(f" {_one(rng, NEAR)} the {noun}" for noun in named[1:])
    verb = "are" if is_plural[0] else "is"
    return TextItem(f"agree the {named[0]}{rest}=", verb, ("are", "is"))


def _draw_look(rng: Generator, *, hard: bool) -> TextItem:
    """The number that stands next to a letter in a list of pairs."""
    n = _between(rng, 3, 6) if hard else _between(rng, 2, 3)
    letters = _some(rng, tuple(_LETTERS), n)
    numbers = [str(number) for number in rng.integers(0, 10, n)]
    asked = _between(rng, 0, n - 1)
    pairs = " ".join(map("".join, zip(letters, numbers, strict=True)))
    return TextItem(f"look {pairs} {letters[asked]}=", numbers[asked])


DRAW: dict[str, Callable[..., TextItem]] = {
    "reverse": _draw_reverse,
    "sort": _draw_sort,
    "add": _draw_add,
    "code": _draw_code,
    "say": _draw_say,
    "close": _draw_close,
    "mood": _draw_mood,
    "odd": _draw_odd,
    "count": _draw_count,
    "agree": _draw_agree,
    "look": _draw_look,
}
"""Of each task, (random numbers, hard) -> an item."""

TASKS = tuple(DRAW)


@lru_cache(maxsize=len(TASKS))
def items(task: str) -> dict[str, tuple[TextItem, ...]]:
    """The items of a task by split; no prompt occurs twice.

    Raises:
        ValueError: the suite has no such task.
    """
    if task not in DRAW:
        raise ValueError(f"no task {task!r} in the suite mini-language; one of {', '.join(TASKS)}")
    splits: dict[str, tuple[TextItem, ...]] = {}
    seen: set[str] = set()
    # Test first: its prompts depend on the size of no other split.
    for number, split in enumerate(reversed(SIZES)):
        rng = stream(SEED, TASKS.index(task), number)
        own = _distinct(rng, DRAW[task], SIZES[split], seen)
        splits[split] = own
        seen |= {item.prompt for item in own}
    return {split: splits[split] for split in SIZES}


@lru_cache(maxsize=len(TASKS))
def load(task: str) -> TaskData:
    """The arrays of a task, made once a process."""
    return task_data(task, items(task))


def stream(*key: int) -> Generator:
    """An independent stream of random numbers."""
    return Generator(PCG64(SeedSequence(key)))


def _distinct(
    rng: Generator, draw: Callable[..., TextItem], n: int, seen: Collection[str]
) -> tuple[TextItem, ...]:
    found: dict[str, TextItem] = {}
    while len(found) < n:
        item = draw(rng, hard=True)
        if item.prompt not in seen:
            found.setdefault(item.prompt, item)
    return tuple(found.values())


def _between(rng: Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high, endpoint=True))


def _one(rng: Generator, values: Sequence[str]) -> str:
    return values[int(rng.integers(len(values)))]


def _some(rng: Generator, values: Sequence[str], n: int) -> list[str]:
    """Some of the values, each once, in any order."""
    return [values[k] for k in rng.permutation(len(values))[:n].tolist()]


def _letters(rng: Generator, n: int) -> str:
    return "".join(_one(rng, _LETTERS) for _ in range(n))
