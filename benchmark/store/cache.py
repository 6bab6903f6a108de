"""The cache: what a store holds, whether it is whole, and what nobody needs any more."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.store.artifacts import DAMAGED
from taskmark.store.durable import drafts, remove
from taskmark.store.locks import living

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from taskmark.store.artifacts import Store
    from taskmark.store.outside import Outside

RECORDS = frozenset({"records", "disentanglement", "negation", "localisation"})
"""The kinds of artifacts that hold records, for whose sake all others are there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One artifact of a store.

    Attributes:
        name: "kind/key".
        label: what was said while it was made.
        n_bytes: of both its files.
        uses: the names of what it was made from.
        notes: what must be said of how it was made.
    """

    name: str
    label: str
    n_bytes: int
    uses: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The kind of artifact."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Waste:
    """What can be removed: artifacts by name and other files that were left, with their bytes."""

    artifacts: tuple[str, ...]
    files: tuple[Path, ...]
    n_bytes: int


def entries(store: Store) -> dict[str, Entry]:
    """All artifacts by name, in order; damaged ones that are met are set aside and left out."""
    found = {}
    for kind, key in store:
        try:
            made = store.made(kind, key)
        except CorruptArtifactError:
            continue
        name, n_bytes = f"{kind}/{key}", sum(map(_size, store.files(kind, key)))
        found[name] = Entry(name, made.label, n_bytes, made.uses, made.notes)
    return found


def users(stored: Mapping[str, Entry]) -> dict[str, list[str]]:
    """For each artifact, the names of those that were made from it directly."""
    by_name: dict[str, list[str]] = {name: [] for name in stored}
    for entry in stored.values():
        for used in entry.uses:
            if used in by_name:
                by_name[used].append(entry.name)
    return by_name


def needed_by_records(stored: Mapping[str, Entry]) -> set[str]:
    """The names of the records' artifacts and of all that these were made from."""
    waiting = [entry.name for entry in stored.values() if entry.kind in RECORDS]
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in stored and name not in needed:
            needed.add(name)
            waiting += stored[name].uses
    return needed


def verify(store: Store) -> tuple[int, list[CorruptArtifactError]]:
    """Read every byte of every artifact, and of what lies outside; damaged ones are set aside.

    Returns:
        How many are whole, and what is wrong with the others.
    """
    n_whole, damaged = 0, []
    outside: set[Outside] = set()  # artifacts of several backbones lie on the same images
    for kind, key in store:
        try:
            store.verify(kind, key, whole=outside)
            n_whole += 1
        except CorruptArtifactError as error:
            damaged.append(error)
    return n_whole, damaged


def waste(store: Store, *, also_needed: bool = False) -> Waste:
    """What no record needs: artifacts, damaged ones that were set aside, and unfinished files.

    Args:
        store: where to look.
        also_needed: count the records' artifacts, and all that they need, as waste too.
    """
    stored = entries(store)
    kept = set() if also_needed else needed_by_records(stored)
    artifacts = [name for name in stored if name not in kept]
    whole = {path for kind, key in store for path in store.files(kind, key)}
    half = [path for path in store.root.glob("*/*.safetensors") if path not in whole]
    files = [*sorted(store.root.glob(f"*/*{DAMAGED}")), *sorted(half), *drafts(store.root)]
    n_bytes = sum(stored[name].n_bytes for name in artifacts) + sum(map(_size, files))
    return Waste(tuple(artifacts), tuple(files), n_bytes)


def prune(store: Store, rubbish: Waste) -> None:
    """Remove waste.

    Raises:
        TaskmarkError: if a run is under way, or if something cannot be removed.
    """
    check_idle(store)
    for name in rubbish.artifacts:
        kind, _, key = name.partition("/")
        store.remove(kind, key)
    for path in rubbish.files:
        remove(path)


def check_idle(store: Store) -> None:
    """Check that no run uses the store now.

    Raises:
        TaskmarkError: if one does.
    """
    runs = sorted(set(living(store.locks)))
    if runs:
        raise TaskmarkError(
            f"The store {str(store.root)!r} is in use by {' and '.join(runs)}; wait for the end of "
            f"that run, or if it ended without a word on another machine, delete {store.locks}."
        )


def total_bytes(found: Iterable[Entry]) -> int:
    """The bytes of some artifacts."""
    return sum(entry.n_bytes for entry in found)


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
