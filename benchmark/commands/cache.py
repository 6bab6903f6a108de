"""What `taskmark cache` does: list, verify, prune."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table

from taskmark.console import PlainConsole
from taskmark.engine.run import default_store
from taskmark.errors import TaskmarkError, unknown
from taskmark.store import cache
from taskmark.store.artifacts import Store

if TYPE_CHECKING:
    from pathlib import Path

_MEGABYTE = 1e6


def list_cache(folder: Path | None, kind: str | None) -> None:
    """Print what each kind of artifact takes, or each artifact of one kind and what uses it.

    Raises:
        TaskmarkError: if there is no such store, or nothing of that kind in it.
    """
    store, console = _store(folder), PlainConsole()
    stored = cache.entries(store)
    kinds = {entry.kind for entry in stored.values()}
    if kind is not None and kind not in kinds:
        raise unknown("kind of artifact", kind, kinds)
    used, needed = cache.users(stored), cache.needed_by_records(stored)
    if kind is None:
        table = Table("kind", "number", "MB", "needed by records", "used by", box=None)
        for name, group in groupby(stored.values(), key=lambda entry: entry.kind):
            found = list(group)
            by = {user.partition("/")[0] for entry in found for user in used[entry.name]}
            n_needed = sum(entry.name in needed for entry in found)
            size = f"{cache.total_bytes(found) / _MEGABYTE:.1f}"
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
    total = cache.total_bytes(stored.values()) / _MEGABYTE
    console.say(f"{len(stored)} artifacts, {total:.1f} MB in {store.root}")


def verify_cache(folder: Path | None) -> None:
    """Read every byte of a store, print what is damaged, and exit with 1 if anything is.

    Raises:
        TaskmarkError: if there is no such store.
    """
    n_whole, damaged = cache.verify(_store(folder))
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
    if yes:
        cache.check_idle(store)
    rubbish = cache.waste(store, also_needed=everything)
    for name in rubbish.artifacts:
        console.say(_short(name))
    for path in rubbish.files:
        console.say(str(path.relative_to(store.root)))
    if yes:
        cache.prune(store, rubbish)
    n = len(rubbish.artifacts) + len(rubbish.files)
    done = "were removed" if yes else "would be removed; say --yes to do it"
    console.say(f"{n} entries, {rubbish.n_bytes / _MEGABYTE:.1f} MB, {done}.")


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
