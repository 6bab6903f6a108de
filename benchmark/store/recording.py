"""Recording what a job reads from the store, and notes on how its results were made."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(slots=True)
class Account:
    """What a job has read and noted so far.

    Attributes:
        label: what progress shows while the job runs.
        uses: "kind/key" of each artifact that it read; a dictionary because that keeps the order.
        notes: sentences about how its results, or what it read, were made; likewise.
    """

    label: str = ""
    uses: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def add_use(self, artifact: str, notes: Iterable[str]) -> None:
        """Enter an artifact that was read, and take over its notes."""
        self.uses[artifact] = None
        self.notes.update(dict.fromkeys(notes))


# Process-wide, since a process does one job at a time, parts of it in other threads, and since a
# note may come from code that knows no store, such as a batch that was halved to fit into memory.
_open_accounts: list[Account] = []


@contextmanager
def recording(label: str) -> Iterator[Account]:
    """Record what is read and noted within the block, apart from what was before."""
    account = Account(label)
    _open_accounts.append(account)
    try:
        yield account
    finally:
        _open_accounts.remove(account)


def current_account() -> Account:
    """The account of the job that runs; outside of one, an empty one that nobody keeps."""
    return _open_accounts[-1] if _open_accounts else Account()


def note(sentence: str) -> None:
    """Note how results were made; the note propagates to everything that is made from them."""
    current_account().notes[sentence] = None
