"""A run: from what somebody asked for to records in a folder."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskmark.atomic_files import check_writable, remove_abandoned_drafts
from taskmark.engine.executor import Event, execute
from taskmark.engine.job import Job, jobs_of, missing_jobs
from taskmark.engine.job_claims import StoreClaims
from taskmark.engine.plan import Request, plan
from taskmark.engine.preflight import describe_cost, require_space
from taskmark.engine.stage import RecordStage
from taskmark.engine.stage_store import StageStore
from taskmark.errors import CorruptArtifactError, TaskmarkError
from taskmark.experts.foreign import read_experts
from taskmark.machine import devices
from taskmark.plugins.changes import changed_methods
from taskmark.plugins.method_choice import MethodChoice
from taskmark.records.record_files import write_record
from taskmark.records.write_catalogue import catalogue_methods, catalogue_suite
from taskmark.stages.method_call import PluginFiles
from taskmark.stages.task_inputs import Data
from taskmark.store.address import default_store, folder_of, old_store_size
from taskmark.store.artifacts import Store
from taskmark.store.locks import ArtifactLocks
from taskmark.store.tuning_checkpoints import discard_outlived
from taskmark.suite.suite_file import load
from taskmark.suite.unfrozen_suites import prepare_suite, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from taskmark.config import RunConfig
    from taskmark.records.envelope import Envelope
    from taskmark.records.record import Record
    from taskmark.suite.suite_file import Suite

_log = logging.getLogger(__name__)

_ATTEMPTS = 3  # at one artifact that is damaged as often as it is made


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who follows a run: how many jobs there are and were done before, then each event.

    `say` takes what there is to know before that, in sentences.
    """

    begin: Callable[[list[Job], int, int], None] = lambda _todo, _done, _workers: None
    event: Callable[[Event], None] = lambda _event: None
    say: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The records of a run by the name of their stage, and how long it took."""

    by_stage: Mapping[str, tuple[Envelope, ...]]
    seconds: float

    @property
    def records(self) -> tuple[Record, ...]:
        """The rows."""
        return self.of("records")

    def of(self, stage: str) -> tuple[Any, ...]:
        """The records that a stage made, such as "negation"."""
        return tuple(self.by_stage.get(stage, ()))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run with every name looked up: what it asks for, and where its artifacts are."""

    request: Request
    store: StageStore


def prepare(
    config: RunConfig,
    *,
    suite: Suite | None = None,
    say: Callable[[str], None] = lambda _text: None,
    whole: bool = True,
) -> Prepared:
    """Look every name of a configuration up.

    Args:
        config: what somebody asked for.
        suite: in place of the one that is named, such as one with a paper's protocol over it.
        say: takes what there is to know, in sentences.
        whole: whether all data and weights must be on this machine.

    Raises:
        TaskmarkError: if a name is unknown, or data or weights are missing.
    """
    defined = (suite or load(config.suite)).only(config.tasks)
    named = tuple(defined.backbones) if "all" in config.backbones else config.backbones
    resolved, hashes = prepare_suite(
        defined.racing() if config.racing else defined,
        backbones=named,
        negation=config.negation,
        whole=whole,
    )
    if whole and not defined.frozen:
        say(sentence(resolved, hashes))
    backbones = resolved.chosen(named)
    foreign = None
    if config.experts is not None:
        foreign = read_experts(
            config.experts, resolved.tasks, backbones=backbones, seeds=config.seeds
        )
        resolved = resolved.on_experts_of(foreign.family)
    changed = changed_methods(config.since) if config.since is not None else ()
    files = tuple(path.resolve() for path in config.plugins)
    request = Request(
        suite=resolved,
        backbones=backbones,
        methods=(*config.methods, *map(MethodChoice, changed)),
        recipes=config.recipes,
        seeds=config.seeds,
        negation=config.negation,
        localisation=config.localisation,
        plugins=PluginFiles(files, config.time_limit, resolved.provider),
        foreign=foreign,
        accepted=config.accept_experts,
        resolved=hashes,
        checkpoint_seconds=config.checkpoint_seconds,
    )
    root = (config.store or default_store()).expanduser().resolve()
    return Prepared(request, StageStore(Store(root), devices.choose_device(config.device)))


def run(
    config: RunConfig, watcher: Watcher | None = None, *, suite: Suite | None = None
) -> Outcome:
    """Run what was asked for; what was made before is not made again.

    Args:
        config: what somebody asked for.
        watcher: follows the run.
        suite: in place of the one that is named.

    Raises:
        TaskmarkError: if a name is unknown, a folder cannot be written, or a stage fails.
    """
    start = time.perf_counter()
    watcher = watcher or Watcher()
    ready = prepare(config, suite=suite, say=watcher.say)
    root = ready.store.store.root
    places = {config.out: "--out", folder_of(root): "--store or TASKMARK_STORE"}
    if old := old_store_size(root):
        watcher.say(
            f"An earlier version of taskmark left {old / 1e6:.0f} MB in {str(root)!r}, which "
            "nothing reads any more; `taskmark cache prune` removes them."
        )
    with _tidied(places), ArtifactLocks(root) as locks:
        stages = plan(ready.request)
        jobs = jobs_of(stages, ready.store)
        todo = _missing(jobs, ready.store)
        require_space(todo, ready.store)
        discard_outlived(ready.store.store, "experts")
        names = sorted({choice.name for choice, _ in ready.request.chosen})
        catalogue_methods(config.out, [ready.request.found[name] for name in names])
        found = _made(jobs, ready.store, config, watcher, locks)
        data = {stage.task: ready.store.key(stage) for stage in stages if isinstance(stage, Data)}
        catalogue_suite(config.out, ready.request.suite, ready.store.store, data)
    by_stage: dict[str, list[Envelope]] = {}
    for kind, record in found:
        by_stage.setdefault(kind, []).append(record)
    return Outcome(
        {kind: tuple(records) for kind, records in by_stage.items()}, time.perf_counter() - start
    )


def estimate(config: RunConfig, *, suite: Suite | None = None) -> str:
    """Say what a run is going to take, from a few batches that are passed here.

    Nothing is made, and nothing need be fetched yet.

    Args:
        config: what somebody asked for.
        suite: in place of the one that is named.

    Raises:
        TaskmarkError: if a name is unknown.
    """
    ready = prepare(config, suite=suite, whole=False)
    todo = _missing(jobs_of(plan(ready.request), ready.store), ready.store)
    return describe_cost(todo, ready.request.suite, ready.store, _workers(config, ready.store))


@contextmanager
def _tidied(folders: dict[Path, str]) -> Iterator[None]:
    """Folders that can be written, without what processes left that were killed.

    Args:
        folders: each with the option that names another.
    """
    for folder, option in folders.items():
        check_writable(folder, option=option)
        remove_abandoned_drafts(folder)
    try:
        yield
    finally:  # workers may have been ended, too
        for folder in folders:
            remove_abandoned_drafts(folder)


def _made(
    jobs: list[Job], store: StageStore, config: RunConfig, watcher: Watcher, locks: ArtifactLocks
) -> list[tuple[str, Envelope]]:
    """All records of the run; an artifact that is found damaged is made again."""
    damaged: Counter[str] = Counter()
    while True:
        try:
            results = _execute(jobs, store, config, watcher, locks)
            return _collected(jobs, store, results, config.out)
        except CorruptArtifactError as error:
            _log.warning("%s", error)
            damaged[error.artifact] += 1
            if damaged[error.artifact] == _ATTEMPTS:
                raise


def _execute(
    jobs: list[Job], store: StageStore, config: RunConfig, watcher: Watcher, locks: ArtifactLocks
) -> dict[str, str]:
    todo = _missing(jobs, store)
    workers = _workers(config, store)
    watcher.begin(todo, len(jobs) - len(todo), workers)
    results: dict[str, str] = {}

    def listen(event: Event) -> None:
        stage = event.job.stage
        if event.state == "done" and event.result and isinstance(stage, RecordStage):
            results[event.job.key] = event.result
            _write(config.out, stage, event.result)
        elif event.state == "died":
            failed = stage.without_process(store) if isinstance(stage, RecordStage) else None
            if failed is None:
                raise TaskmarkError(
                    f"The process was ended while {event.job.label}; the machine may be out of "
                    "memory: try --workers 1."
                )
            results[event.job.key] = failed
        watcher.event(event)

    n_gpus = devices.count_gpus(store.device)
    execute(
        todo,
        store,
        workers=workers,
        listener=listen,
        claims=StoreClaims(store, locks),
        devices=devices.assign_devices(store.device, workers, n_gpus=n_gpus),
    )
    return results


def _missing(jobs: list[Job], store: StageStore) -> list[Job]:
    asked = [job.key for job in jobs if isinstance(job.stage, RecordStage)]
    return missing_jobs(jobs, asked, store)


def _collected(
    jobs: list[Job], store: StageStore, results: dict[str, str], out: Path
) -> list[tuple[str, Envelope]]:
    found = []
    for job in jobs:
        if not isinstance(job.stage, RecordStage):
            continue
        text = results.get(job.key)
        if text is None and store.has(job.stage):
            text = store.get(job.stage).facts["record"]
        if text:  # a method without a direction has an empty record of negation
            found.append((job.kind, _write(out, job.stage, text)))
    return found


def _write(out: Path, stage: RecordStage, text: str) -> Envelope:
    record = stage.record.model_validate_json(text)
    write_record(out, record)
    return record


def _workers(config: RunConfig, store: StageStore) -> int:
    if config.workers is not None:
        return config.workers
    affinity = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    return devices.count_default_workers(devices.count_gpus(store.device), n_cores)
