"""Lineage: what an artifact is made from, and what must be said of how it was made."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(slots=True)
class Making:
    """What a job has read from the store so far, and what is worth a note on its results.

    Dictionaries without values, because they keep the order.

    Attributes:
        label: what a person is told while it runs.
        uses: "kind/key" of each artifact that it read.
        notes: sentences about how it, or what it read, was made.
    """

    label: str = ""
    uses: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)


# A process does one job at a time, some of it in other threads; so this is no context variable.
_under_way: list[Making] = []


@contextmanager
def making(label: str) -> Iterator[Making]:
    """Keep account of what is read and noted within the block, apart from what was before."""
    account = Making(label)
    _under_way.append(account)
    try:
        yield account
    finally:
        _under_way.remove(account)


def under_way() -> Making:
    """The account of the job that runs now; outside of one, an empty one that nobody keeps."""
    return _under_way[-1] if _under_way else Making()


def note(sentence: str) -> None:
    """Say something of how results were made; whatever is made from them says so too."""
    under_way().notes[sentence] = None


def read_from(artifact: str, notes: Iterable[str]) -> None:
    """Enter that an artifact was read, and take over its notes."""
    account = under_way()
    account.uses[artifact] = None
    account.notes.update(dict.fromkeys(notes))
