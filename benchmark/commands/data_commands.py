"""What `taskmark data` does: list, fetch, verify, lock."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from huggingface_hub.utils.tqdm import disable_progress_bars
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from taskmark.commands.for_each_name import for_each
from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError
from taskmark.suites.real.data import arrays, duplicate_list, lock_resolution, tasks
from taskmark.suites.real.data.data_lock import read_lock, require_resolved, write_lock
from taskmark.suites.real.data.public_data_sets import definition, definitions
from taskmark.suites.real.data.tasks import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from taskmark.suites.real.data.arrays import Arrays, Facts
    from taskmark.suites.real.data.data_lock import LockedDataSet

_GIGABYTE = 1e9


def list_data(lock: Path | None, folder: Path | None) -> None:
    """Print the source, licence, size and state of each data set."""
    place, console = _place(lock, folder), PlainConsole()
    locks = read_lock(place.lock)
    table = Table(box=None)
    for heading in ("task", "repository", "licence", "images", "GB", "state"):
        wraps, number = heading in {"repository", "licence"}, heading in {"images", "GB"}
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(heading, no_wrap=not wraps, overflow="fold", justify=justify)
    for task, data in definitions().items():
        found = locks.get(task)
        rows = found.rows if found and found.rows else data.official_rows
        n_rows = sum(rows.values())
        size = data.native_size or tasks.RESOLUTION
        gigabytes = f"{arrays.n_bytes(n_rows, size) / _GIGABYTE:.2f}" if n_rows else "?"
        images, state = str(n_rows) if n_rows else "?", _state(task, found, place)
        table.add_row(task, data.repository, data.licence, images, gigabytes, state)
    console.show(table, keep=("task", "state"))
    for task, data in definitions().items():
        if data.note:
            console.say(f"{task}: {data.note}.")
    console.say(f"Decoded images are in {place.arrays}.")


def fetch_data(
    names: Sequence[str], lock: Path | None, folder: Path | None, workers: int | None
) -> None:
    """Fetch and decode data sets, all that are resolved unless some are named.

    One that fails does not keep the others back.

    Raises:
        TaskmarkError: if one is unknown or unresolved, or cannot be had.
    """
    place = _place(lock, folder)
    locks = read_lock(place.lock)

    def fetch(task: str) -> None:
        found = locks[task]
        if arrays.read_facts(place.of(task, found.revision)) is None:
            _announce(task)
        with _progress(task) as report:
            facts = tasks.obtain(task, found, place, workers=_workers(workers), progress=report)
        _say(f"{task}: {sum(facts.rows.values())} images of {facts.size} px are here.")
        listed = duplicate_list.read(place.of(task, found.revision))
        if listed.are_many(n_test := facts.rows["test"]):
            _say(f"{task}: {listed.summary(n_test)}; `taskmark data verify {task}` lists them.")

    for_each(_chosen(names, locks), fetch)


def verify_data(names: Sequence[str], lock: Path | None, folder: Path | None) -> None:
    """Read all that is decoded, list duplicates between train and test; exit with 1 if damaged.

    Raises:
        TaskmarkError: if one is unknown or unresolved, or is named and not here.
    """
    place = _place(lock, folder)
    locks = read_lock(place.lock)
    n_here = n_damaged = 0
    for task in _chosen(names, locks):
        found = locks[task]
        where = place.of(task, found.revision)
        if (facts := arrays.read_facts(where)) is None:
            if names:
                raise TaskmarkError(
                    f"The data set {task!r} is not on this machine; get it with `taskmark data "
                    f"fetch {task}`."
                )
            continue
        n_here += 1
        tasks.require_locked(task, facts, found)
        splits = {split: arrays.split_arrays(where, split) for split in arrays.SPLITS}
        damaged = [s for s, locked in facts.pixels.items() if arrays.digest(splits[s]) != locked]
        n_damaged += bool(damaged)
        listed = _duplicates(task, where, facts, splits)
        _say(f"{task}: {_condition(task, where, damaged)}; {listed}.")
        if found.missing:
            _say(f"{task}: not frozen, its lock lacks {', '.join(found.missing)}.")
    if not n_here:
        _say(f"Nothing is decoded in {place.arrays} yet; get it with `taskmark data fetch`.")
    if n_damaged:
        raise SystemExit(1)


def _condition(task: str, where: Path, damaged: Sequence[str]) -> str:
    if not damaged:
        return "whole"
    splits = f"split {damaged[0]} is" if len(damaged) == 1 else f"splits {', '.join(damaged)} are"
    return f"the {splits} damaged (remove {where}, and run `taskmark data fetch {task}`)"


def _duplicates(task: str, where: Path, facts: Facts, splits: Mapping[str, Arrays]) -> str:
    """Count images of test that stand elsewhere; all pairs are written beside the arrays."""
    found = duplicate_list.find(splits, facts.removed)
    try:
        listed = f"; all in {duplicate_list.write(found, where)}"
    except OSError as error:
        listed = ""
        _say(f"{task}: the list of duplicates was not written to {where} ({error.strerror}).")
    shown = found.describe()
    pairs = f" ({shown}{listed})" if shown else ""
    return f"{found.summary(len(splits['test'].labels))}{pairs}"


def lock_data(
    names: Sequence[str],
    lock: Path | None,
    folder: Path | None,
    workers: int | None,
    revision: str | None,
) -> None:
    """Resolve data sets by fetching and decoding them, and write them to the lock file.

    One that fails does not keep the others back.

    Raises:
        TaskmarkError: if one is unknown or cannot be had, or the file cannot be written.
    """
    place = _place(lock, folder)
    if revision and len(names) != 1:
        raise TaskmarkError(
            f"--revision {revision} is a commit of one repository; name one data set with it."
        )
    # One that cannot be read or written is reported before anything is fetched.
    write_lock(read_lock(place.lock) if place.lock.exists() else {}, place.lock)
    for task in names:
        definition(task)

    def resolve(task: str) -> None:
        _announce(task)
        with _progress(task) as report:
            found, surprises = lock_resolution.resolve(
                task, place, revision=revision, workers=_workers(workers), progress=report
            )
        # One by one, so that an interrupted command has not worked in vain.
        known = read_lock(place.lock) if place.lock.exists() else {}
        write_lock({**known, task: found}, place.lock)
        _say(f"{task}: locked at {found.revision[:12]} in {place.lock}.")
        for surprise in surprises:
            _say(f"{task}: {surprise}.")

    for_each(list(names or definitions()), resolve)


def _place(lock: Path | None, folder: Path | None) -> Place:
    place = Place()
    return replace(place, lock=lock or place.lock, arrays=folder or place.arrays)


def _chosen(names: Sequence[str], locks: dict[str, LockedDataSet]) -> list[str]:
    for name in names:
        definition(name)
    if not names and not locks:
        raise TaskmarkError(
            "No data set is resolved yet; run `taskmark data lock` where there is a network, or "
            "name another lock file with --lock."
        )
    require_resolved(names, locks)
    return list(names or locks)


def _workers(workers: int | None) -> int:
    if workers is not None:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _state(task: str, found: LockedDataSet | None, place: Place) -> str:
    if found is None:
        return "unresolved"
    is_here = arrays.read_facts(place.of(task, found.revision)) is not None
    frozen = ", not frozen" if found.missing else ""
    return f"{'here' if is_here else 'missing'}{frozen} ({found.revision[:7]})"


def _say(text: str) -> None:
    PlainConsole().say(text)


def _announce(task: str) -> None:
    repository = definition(task).repository
    PlainConsole(stderr=True).say(f"{task}: fetching {repository}")


@contextmanager
def _progress(task: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of decoding; until that begins, the hub's own bars have the terminal to themselves."""
    console = PlainConsole(stderr=True)
    if not console.is_terminal:
        disable_progress_bars()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    bars = Progress(*columns, TimeRemainingColumn(), console=console)
    bar = bars.add_task(f"decoding {task}", total=None)

    def report(done: int, total: int) -> None:
        if console.is_terminal:
            bars.start()
        bars.update(bar, completed=done, total=total)

    try:
        yield report
    finally:
        if bars.live.is_started:
            bars.stop()
