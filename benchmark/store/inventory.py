"""The cache: what a store holds, whether it is whole, and what nobody needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.atomic_files import list_drafts, remove_file
from taskmark.errors import CorruptArtifactError
from taskmark.store.address import list_old_files, old_store_size, remove_old_files, size_of
from taskmark.store.artifacts import DAMAGED, TENSORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from taskmark.store.artifacts import Store
    from taskmark.store.image_files import ImageFile

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
    """What can be removed.

    Attributes:
        artifacts: their names.
        files: damaged and unfinished ones.
        old_files: the store of an earlier version of taskmark.
        n_bytes: of all of it.
    """

    artifacts: tuple[str, ...]
    files: tuple[Path, ...]
    old_files: tuple[Path, ...]
    n_bytes: int


def list_entries(store: Store) -> dict[str, Entry]:
    """All artifacts by name, in order; damaged ones that are met are set aside and left out."""
    found = {}
    for kind, key in store:
        try:
            made = store.read_facts(kind, key)
        except CorruptArtifactError:
            continue
        name, n_bytes = f"{kind}/{key}", sum(map(size_of, store.files(kind, key)))
        found[name] = Entry(name, made.label, n_bytes, made.uses, made.notes)
    return found


def find_users(stored: Mapping[str, Entry]) -> dict[str, list[str]]:
    """For each artifact, the names of those that were made from it directly."""
    by_name: dict[str, list[str]] = {name: [] for name in stored}
    for entry in stored.values():
        for used in entry.uses:
            if used in by_name:
                by_name[used].append(entry.name)
    return by_name


def find_needed(stored: Mapping[str, Entry]) -> set[str]:
    """The names of the records' artifacts and of all that these were made from."""
    waiting = [entry.name for entry in stored.values() if entry.kind in RECORDS]
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in stored and name not in needed:
            needed.add(name)
            waiting += stored[name].uses
    return needed


def verify_all(store: Store) -> tuple[int, list[CorruptArtifactError]]:
    """Read every byte of every artifact and of its image files; damaged ones are set aside.

    Returns:
        How many are whole, and what is wrong with the others.
    """
    n_whole, damaged = 0, []
    verified: set[ImageFile] = set()  # artifacts of several backbones refer to the same images
    for kind, key in store:
        try:
            store.verify(kind, key, verified=verified)
            n_whole += 1
        except CorruptArtifactError as error:
            damaged.append(error)
    return n_whole, damaged


def find_waste(store: Store, *, also_needed: bool = False) -> Waste:
    """Find what no record needs, what is damaged or unfinished, and stores of earlier versions.

    Args:
        store: where to look.
        also_needed: count the records' artifacts, and all that they need, as waste too.
    """
    stored = list_entries(store)
    kept = set() if also_needed else find_needed(stored)
    artifacts = [name for name in stored if name not in kept]
    whole = {path for kind, key in store for path in store.files(kind, key)}
    half = [path for path in store.folder.glob(f"*/*{TENSORS}") if path not in whole]
    set_aside = store.folder.glob(f"*/*{DAMAGED}")
    files = [*sorted(set_aside), *sorted(half), *list_drafts(store.folder)]
    n_bytes = sum(stored[name].n_bytes for name in artifacts) + sum(map(size_of, files))
    old = list_old_files(store.root)
    return Waste(tuple(artifacts), tuple(files), tuple(old), n_bytes + old_store_size(store.root))


def remove_waste(store: Store, waste: Waste) -> None:
    """Remove what was found; see `taskmark.store.locks.lock_out_runs`.

    Raises:
        TaskmarkError: if something cannot be removed.
    """
    for name in waste.artifacts:
        kind, _, key = name.partition("/")
        store.remove(kind, key)
    for path in waste.files:
        remove_file(path)
    remove_old_files(store.root)


def total_bytes(found: Iterable[Entry]) -> int:
    """The bytes of some artifacts."""
    return sum(entry.n_bytes for entry in found)
