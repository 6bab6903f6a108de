"""A run: from what a user chose to records in a folder."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import platformdirs

from taskmark.context import Context, choose_device
from taskmark.engine.claims import StoreClaims
from taskmark.engine.executor import Event, execute
from taskmark.engine.foresight import before_start, forecast_of, sentences, tasks_of
from taskmark.engine.plan import Plan, Selection, plan
from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.experts.foreign import read_experts
from taskmark.files import check_writable, remove_abandoned_drafts, write_atomically
from taskmark.machine import devices
from taskmark.records.cataloguing import catalogue_methods, catalogue_suite
from taskmark.records.localisation_record import LocalisationRecord
from taskmark.records.negation_record import NegationRecord
from taskmark.records.record import DisentanglementRecord, Record
from taskmark.stages.row import blank_record
from taskmark.store.checkpoints import CHECKPOINT_SECONDS, discard_outlived
from taskmark.store.layout import folder_of
from taskmark.store.locks import ArtifactLocks
from taskmark.suite.definition import load
from taskmark.suite.resolving import prepared, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmark.engine.jobs import Job
    from taskmark.suite.definition import Suite

_log = logging.getLogger(__name__)

AnyRecord: TypeAlias = Record | DisentanglementRecord | NegationRecord | LocalisationRecord

_SCHEMAS: dict[str, type[AnyRecord]] = {
    "records": Record,
    "disentanglement": DisentanglementRecord,
    "negation": NegationRecord,
    "localisation": LocalisationRecord,
}
"""The jobs that make records, and the folders that these are written to."""

_ATTEMPTS = 3  # at one artifact that is damaged as often as it is made


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asked for.

    Attributes:
        suite: name, name@version, path of a TOML file, or the suite itself.
        out: where records go.
        selection: which backbones, methods, recipes and seeds.
        tasks: some of the suite's tasks; empty for all.
        device: "auto", "cpu", "cuda" or "cuda:1".
        plugins: files with methods.
        workers: processes; None for one a core, or one a GPU, 0 for none besides this one.
        store: where artifacts are kept; None for the user's cache folder.
        time_limit: seconds that one edit of a plug-in may take.
        racing: whether the search of scales stops early at those that cannot win.
        checkpoint_seconds: between two steps of tuning from which it can go on.
    """

    suite: str | Suite
    out: Path
    selection: Selection = field(default_factory=Selection)
    tasks: tuple[str, ...] = ()
    device: str = "auto"
    plugins: tuple[Path, ...] = ()
    workers: int | None = None
    store: Path | None = None
    time_limit: float = 3600.0
    racing: bool = False
    checkpoint_seconds: float = CHECKPOINT_SECONDS


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told of progress: how many jobs there are and were done before, then each event.

    `say` takes what there is to know before that, in sentences.
    """

    begin: Callable[[list[Job], int, int], None] = lambda _todo, _done, _workers: None
    event: Callable[[Event], None] = lambda _event: None
    say: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The records of a run, and how long it took."""

    records: tuple[Record, ...]
    disentanglement: tuple[DisentanglementRecord, ...]
    negation: tuple[NegationRecord, ...]
    localisation: tuple[LocalisationRecord, ...]
    seconds: float


def default_store() -> Path:
    """The folder of artifacts: TASKMARK_STORE, or taskmark in the user's cache folder."""
    named = os.environ.get("TASKMARK_STORE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("taskmark"))


def run(options: Options, watcher: Watcher | None = None) -> Outcome:
    """Run what was asked for; what was made before is not made again.

    Raises:
        TaskmarkError: if a name is unknown, a folder cannot be written, or a stage fails.
    """
    start = time.perf_counter()
    watcher = watcher or Watcher()
    context = _context(options, watcher)
    with (
        _tidied(options.out, folder_of(context.store_root)),
        ArtifactLocks(context.store_root) as locks,
    ):
        planned = plan(context, options.selection)
        if told := before_start(
            context,
            planned.jobs,
            _missing(planned, context),
            context.suite.chosen(options.selection.backbones),
            processes=max(1, _workers(options.workers, context)),
        ):
            watcher.say(told)
        discard_outlived(context.store, "experts")
        catalogue_methods(context, options.out, (r.choice.name for r in planned.rows.values()))
        found = _made(planned, context, options, watcher, locks)
        data = {job.arguments["task"]: job.key for job in planned.jobs if job.kind == "data"}
        catalogue_suite(context, options.out, data)
    return Outcome(
        records=tuple(record for record in found if isinstance(record, Record)),
        disentanglement=tuple(r for r in found if isinstance(r, DisentanglementRecord)),
        negation=tuple(record for record in found if isinstance(record, NegationRecord)),
        localisation=tuple(r for r in found if isinstance(r, LocalisationRecord)),
        seconds=time.perf_counter() - start,
    )


def estimate(options: Options) -> str:
    """Say what a run is going to take; nothing is made, and nothing need be fetched yet.

    Raises:
        TaskmarkError: if a name is unknown.
    """
    context = _context(options, Watcher(), whole=False)
    planned = plan(context, options.selection)
    backbones = context.suite.chosen(options.selection.backbones)
    found, sizes = forecast_of(context, planned.jobs, _missing(planned, context), backbones)
    processes = max(1, _workers(options.workers, context))
    tasks = tasks_of(planned.jobs)
    return sentences(found, context, processes=processes, tasks=tasks, sizes=sizes)


def _context(options: Options, watcher: Watcher, *, whole: bool = True) -> Context:
    named = options.suite
    defined = (load(named) if isinstance(named, str) else named).only(options.tasks)
    suite, hashes = prepared(
        defined.racing() if options.racing else defined,
        backbones=options.selection.backbones,
        negation=options.selection.negation,
        whole=whole,
    )
    if whole and not defined.frozen:
        watcher.say(sentence(suite, hashes))
    experts = None
    if options.selection.experts is not None:
        experts = read_experts(
            options.selection.experts,
            suite.tasks,
            backbones=suite.chosen(options.selection.backbones),
            seeds=options.selection.seeds,
        )
        suite = suite.on_experts_of(experts.family)
    return Context(
        suite=suite,
        store_root=(options.store or default_store()).expanduser().resolve(),
        device=choose_device(options.device),
        plugins=tuple(path.resolve() for path in options.plugins),
        time_limit=options.time_limit,
        checkpoint_seconds=options.checkpoint_seconds,
        found=hashes,
        experts=experts,
    )


@contextmanager
def _tidied(*folders: Path) -> Iterator[None]:
    """Folders that can be written, without what processes left that were killed."""
    for folder in folders:
        check_writable(folder)
        remove_abandoned_drafts(folder)
    try:
        yield
    finally:  # workers may have been ended, too
        for folder in folders:
            remove_abandoned_drafts(folder)


def _made(
    planned: Plan, context: Context, options: Options, watcher: Watcher, locks: ArtifactLocks
) -> list[AnyRecord]:
    """All records of the plan; an artifact that is found damaged is made again."""
    damaged: Counter[str] = Counter()
    while True:
        try:
            results = _execute(planned, context, options, watcher, locks)
            return _collected(planned, context, results, options.out)
        except CorruptArtifactError as error:
            _log.warning("%s", error)
            damaged[error.artifact] += 1
            if damaged[error.artifact] == _ATTEMPTS:
                raise


def _execute(
    planned: Plan, context: Context, options: Options, watcher: Watcher, locks: ArtifactLocks
) -> dict[str, str]:
    todo = _missing(planned, context)
    workers = _workers(options.workers, context)
    watcher.begin(todo, len(planned.jobs) - len(todo), workers)
    results: dict[str, str] = {}

    def listen(event: Event) -> None:
        if event.state == "done" and event.result is not None:
            results[event.job.key] = event.result
            _write(options.out, event.job.kind, event.result)
        elif event.state == "died" and event.job.key in planned.rows:
            blank = blank_record(context, planned.rows[event.job.key])
            failed = blank.model_copy(
                update={"state": "failed", "reason": "The process that ran it was ended."}
            )
            results[event.job.key] = failed.identified().model_dump_json()
        elif event.state == "died":
            raise TaskmarkError(
                f"The process was ended while {event.job.label}; the machine may be out of "
                "memory: try --workers 1."
            )
        watcher.event(event)

    claims = StoreClaims(context.store, locks)
    execute(
        todo,
        context,
        workers=workers,
        listener=listen,
        claims=claims,
        devices=_devices(context, workers),
    )
    return results


def _devices(context: Context, workers: int) -> tuple[str, ...]:
    n_gpus = devices.count_gpus(context.device)
    return devices.assign_devices(context.device, workers, n_gpus=n_gpus)


def _missing(planned: Plan, context: Context) -> list[Job]:
    # What nobody will read need not be there: walk back from the records alone.
    jobs = {job.key: job for job in planned.jobs}
    wanted = [job.key for job in planned.jobs if job.kind in _SCHEMAS]
    missing: set[str] = set()
    while wanted:
        job = jobs[wanted.pop()]
        if job.key not in missing and not job.is_done(context.store):
            missing.add(job.key)
            wanted += job.needs
    return [job for job in planned.jobs if job.key in missing]


def _collected(
    planned: Plan, context: Context, results: dict[str, str], out: Path
) -> list[AnyRecord]:
    found: list[AnyRecord] = []
    for job in planned.jobs:
        if job.kind not in _SCHEMAS:
            continue
        text = results.get(job.key)
        if text is None and context.store.has(job.kind, job.key):
            text = context.store.get(job.kind, job.key).facts["record"]
        if text:  # a method without a direction has an empty record of negation
            found.append(_write(out, job.kind, text))
    return found


def _write(out: Path, kind: str, text: str) -> AnyRecord:
    record = _SCHEMAS[kind].model_validate_json(text)
    path = out / kind / f"{record.record_id[:16]}.json"
    if not path.is_file():
        write_atomically(path, (record.model_dump_json(indent=1) + "\n").encode())
    return record


def _workers(asked: int | None, context: Context) -> int:
    if asked is not None:
        return asked
    affinity = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    return devices.count_default_workers(devices.count_gpus(context.device), n_cores)
