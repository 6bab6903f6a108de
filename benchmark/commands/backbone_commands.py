"""What `taskmark backbones` does: list, fetch, verify, lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from taskmark.commands.for_each_name import for_each
from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import weight_lookup
from taskmark.suites.real.backbones.backbone_lock import (
    LockedBackbone,
    lock_file,
    read_lock,
    write_lock,
)
from taskmark.suites.real.backbones.public_backbones import definition, definitions

if TYPE_CHECKING:
    from collections.abc import Sequence


def list_backbones() -> None:
    """Print the source, licence and state of each backbone."""
    table = Table(box=None)
    for heading in ("backbone", "what", "repository", "licence", "state"):
        table.add_column(heading, no_wrap=heading in {"backbone", "state"}, overflow="fold")
    for name, facts in definitions().items():
        table.add_row(name, facts.title, facts.repository or "-", facts.licence, _state(name))
    PlainConsole().show(table, keep=("backbone", "state"))


def fetch_backbones(names: Sequence[str]) -> None:
    """Fetch the weights of backbones, all that are resolved unless some are named.

    Raises:
        TaskmarkError: if one is unknown or unresolved, or cannot be had.
    """

    def fetch(name: str) -> None:
        if definition(name).seed is None:
            _say(f"{name}: {weight_lookup.fetch(name)} is here.")
        else:
            _say(f"{name}: drawn on this machine, nothing to fetch.")

    for_each(_chosen(names), fetch)


def verify_backbones(names: Sequence[str]) -> None:
    """Read the weights that are here and hold them against lock and architecture; exit 1 if bad.

    Raises:
        TaskmarkError: if one is unknown, or is named and not here.
    """
    from taskmark.suites.real.backbones import loading  # noqa: PLC0415 - imports torch

    n_bad = 0
    for name in names or [name for name in definitions() if _is_here(name)]:
        found = loading.weights_sha256(name)
        try:
            loading.load(name)
        except TaskmarkError as error:
            n_bad += 1
            _say(f"{name}: {error}")
            continue
        frozen = "" if name in read_lock() else ", not locked"
        _say(f"{name}: whole, SHA-256 {found[:12]}{frozen}.")
    if n_bad:
        raise SystemExit(1)


def lock_backbones(names: Sequence[str], revision: str | None) -> None:
    """Resolve backbones, all unless some are named, and write them to the lock file.

    Raises:
        TaskmarkError: if one is unknown or cannot be had, or the file cannot be written.
    """
    from taskmark.suites.real.backbones import loading  # noqa: PLC0415 - imports torch

    if revision and len(names) != 1:
        raise TaskmarkError(
            f"--revision {revision} is a commit of one repository; name one backbone with it."
        )
    # One that cannot be read or written is reported before anything is fetched.
    write_lock(read_lock() if lock_file().exists() else {}, lock_file())
    for name in names:
        definition(name)

    def resolve(name: str) -> None:
        if definition(name).seed is None or revision is not None:
            found = weight_lookup.resolve(name, revision)
        else:
            found = LockedBackbone(sha256=loading.weights_sha256(name))
        # One by one, so that an interrupted command has not worked in vain.
        known = read_lock() if lock_file().exists() else {}
        write_lock({**known, name: found}, lock_file())
        at = f"at {found.revision[:12]}" if found.revision else f"as {found.sha256[:12]}"
        _say(f"{name}: locked {at} in {lock_file()}.")

    for_each(list(names or definitions()), resolve)


def _chosen(names: Sequence[str]) -> list[str]:
    known = [name for name in definitions() if name in read_lock()]
    if not names and not known:
        raise TaskmarkError(
            "No backbone is resolved yet; run `taskmark backbones lock` where there is a network, "
            "or name another lock file by TASKMARK_BACKBONES_LOCK."
        )
    return list(names or known)


def _state(name: str) -> str:
    lock = read_lock().get(name)
    if definition(name).seed is not None:
        return f"drawn{'' if lock else ', not locked'}"
    if _is_here(name):
        return f"here{f' ({lock.sha256[:7]})' if lock else ', not locked'}"
    return f"missing ({lock.sha256[:7]})" if lock else "unresolved"


def _is_here(name: str) -> bool:
    if definition(name).seed is not None:
        return True
    try:
        weight_lookup.find(name)
    except TaskmarkError:
        return False
    return True


def _say(text: str) -> None:
    PlainConsole().say(text)
