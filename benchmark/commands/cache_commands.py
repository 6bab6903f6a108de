"""What `taskmark cache` does: list, verify, prune."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table

from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError, unknown
from taskmark.store import inventory
from taskmark.store.address import default_store, old_store_size
from taskmark.store.artifacts import Store
from taskmark.store.locks import lock_out_runs

if TYPE_CHECKING:
    from pathlib import Path

_MEGABYTE = 1e6


def list_cache(folder: Path | None, kind: str | None) -> None:
    """Print what each kind of artifact takes, or each artifact of one kind and what uses it.

    Raises:
        TaskmarkError: if there is no such store, or nothing of that kind in it.
    """
    store, console = _store(folder), PlainConsole()
    stored = inventory.list_entries(store)
    kinds = {entry.kind for entry in stored.values()}
    if kind is not None and kind not in kinds:
        raise unknown("kind of artifact", kind, kinds)
    used, needed = inventory.find_users(stored), inventory.find_needed(stored)
    if kind is None:
        table = Table("kind", "number", "MB", "needed by records", "used by", box=None)
        for name, group in groupby(stored.values(), key=lambda entry: entry.kind):
            found = list(group)
            by = {user.partition("/")[0] for entry in found for user in used[entry.name]}
            n_needed = sum(entry.name in needed for entry in found)
            size = f"{inventory.total_bytes(found) / _MEGABYTE:.1f}"
            table.add_row(name, str(len(found)), size, str(n_needed), ", ".join(sorted(by)))
    else:
        table = Table("key", "MB", "what it is", "used by", "notes", box=None)
        for entry in stored.values():
            if entry.kind == kind:
                names = ", ".join(_short(user) for user in used[entry.name])
                key = _short(entry.name).partition("/")[2]
                notes = "; ".join(entry.notes)
                size = f"{entry.n_bytes / _MEGABYTE:.1f}"
                table.add_row(key, size, entry.label, names or "nothing", notes)
    console.show(table, keep=("kind", "number", "MB", "key", "what it is"))
    total = inventory.total_bytes(stored.values()) / _MEGABYTE
    console.say(f"{len(stored)} artifacts, {total:.1f} MB in {store.root}")
    if old := old_store_size(store.root):
        console.say(
            f"An earlier version of taskmark left {old / _MEGABYTE:.1f} MB there, which nothing "
            "reads any more; `taskmark cache prune --yes` removes them."
        )


def verify_cache(folder: Path | None) -> None:
    """Read every byte of a store, print what is damaged, and exit with 1 if anything is.

    Raises:
        TaskmarkError: if there is no such store.
    """
    n_whole, damaged = inventory.verify_all(_store(folder))
    console = PlainConsole()
    for error in damaged:
        console.say(str(error))
    console.say(f"{n_whole} artifacts are whole, {len(damaged)} were damaged.")
    if damaged:
        raise SystemExit(1)


def prune_cache(folder: Path | None, *, everything: bool, yes: bool) -> None:
    """Print what no record needs, and remove it if asked to.

    Raises:
        TaskmarkError: if there is no such store, or if a run uses it now.
    """
    store, console = _store(folder), PlainConsole()
    with lock_out_runs(store.root) if yes else nullcontext():
        waste = inventory.find_waste(store, also_needed=everything)
        for name in waste.artifacts:
            console.say(_short(name))
        for path in waste.files:
            console.say(str(path.relative_to(store.root)))
        if waste.old_files:
            console.say(f"{len(waste.old_files)} files of an earlier version of taskmark")
        if yes:
            inventory.remove_waste(store, waste)
    n = len(waste.artifacts) + len(waste.files) + len(waste.old_files)
    done = "were removed" if yes else "would be removed; say --yes to do it"
    console.say(f"{n} entries, {waste.n_bytes / _MEGABYTE:.1f} MB, {done}.")


def _store(folder: Path | None) -> Store:
    root = (folder or default_store()).expanduser().resolve()
    if not root.is_dir():
        raise TaskmarkError(
            f"There is no store {str(root)!r}; name one with --store, or run something first."
        )
    return Store(root)


def _short(name: str) -> str:
    kind, _, key = name.partition("/")
    return f"{kind}/{key[:12]}"
