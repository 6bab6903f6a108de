"""One row: edit, choose the scale on validation, read test once, and write the record."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from taskmark.contract.recipe import get_recipe
from taskmark.engine.stage import Cost, RecordStage, outside_key
from taskmark.errors import CorruptArtifactError, DoesNotApplyError, sentence
from taskmark.inference.racing import Racing, race
from taskmark.inference.readers import passes_per_item
from taskmark.inference.scale_search import best, candidates, scale_range_of, search
from taskmark.machine import out_of_memory
from taskmark.machine.costs import Spent, measure
from taskmark.plugins.stand_ins import StandIn
from taskmark.records.record import (
    CountedCost,
    Geometry,
    MeasuredCost,
    Record,
    Seeds,
    State,
    Storage,
    Trial,
)
from taskmark.stages.editing import Edited, Handout, edit
from taskmark.stages.evaluation import Evaluated, evaluate
from taskmark.stages.geometry import geometry
from taskmark.statistics.intervals import score_intervals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from taskmark.contract.edit import Edit
    from taskmark.contract.method import Method
    from taskmark.engine.plan import Request
    from taskmark.engine.stage_store import StageStore
    from taskmark.inference.readers import Reader
    from taskmark.records.envelope import Provenance
    from taskmark.stages.expert_set import ExpertSet
    from taskmark.stages.method_call import MethodCall
    from taskmark.store.artifacts import Artifact
    from taskmark.suites.task_data import Sizes

_log = logging.getLogger(__name__)

BACKWARD = 3.0  # forward passes that a pass there and back takes


@dataclass(frozen=True)
class MeasureRow(RecordStage):
    """A method on an expert set.

    Attributes:
        experts: what it is given.
        method: what edits.
        seed: of the method's generator.
        trials: points of the scale search.
        scale_ranges: intervals of scales in place of the methods' own, by method name.
        racing: seed and block of a search that stops early; None reads all of validation.
        gradient_images: what a learning method may pass backward.
        batch_size: of the protocol.
        resolved: hashes that the run found where the suite leaves them open, for the record.
    """

    name = "records"
    version = 1
    record = Record

    experts: ExpertSet
    method: MethodCall
    seed: int
    trials: int
    scale_ranges: Mapping[str, tuple[float, float]]
    racing: Racing | None
    gradient_images: int
    batch_size: int
    resolved: Mapping[str, str] | None = outside_key(None)

    @classmethod
    def plan(cls, request: Request) -> Iterator[MeasureRow]:
        """The rows of a run, those of one backbone and seed after the other."""
        suite = request.suite
        protocol = suite.protocol
        racing = None
        if protocol.search == "racing":
            # One order of the items for all rows of the suite, and the protocol's batch even where
            # more items pass at once: which scales are read how far must not depend on memory.
            racing = Racing(seed=int(suite.sha256[:16], 16), block=2 * protocol.batch_size)
        for experts, choice, seed in request.rows():
            call = request.call(choice)
            yield cls(
                experts=experts,
                method=call,
                seed=seed,
                trials=protocol.trials,
                scale_ranges={
                    name: own for name, own in protocol.scale_ranges.items() if name == call.name
                },
                racing=racing,
                gradient_images=protocol.gradient_images,
                batch_size=protocol.batch_size,
                resolved=request.resolved,
            )

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.experts.backbone}, {self.experts.recipe}: {self.method.name}"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Validation once a scale, test once, and the whole budget of a method that learns."""
        own = [size for task, size in sizes.items() if task in self.experts.inputs]
        mode = get_recipe(self.experts.recipe).read
        method = self.method.build()
        reading = sum(size.test for size in own)
        if method.scale_range is not None:
            # A model that is linear in its weights is read once for all scales.
            n_readings = self.trials if mode == "standard" else 1
            reading += n_readings * sum(size.validation for size in own)
        learns = method.track != "weights" and method.role == "competitor"
        return Cost(
            self.experts.model,
            reading=passes_per_item(mode) * reading,
            learning=BACKWARD * self.gradient_images if learns else 0.0,
            held=len(self.experts.vectors.experts) + 5,
        )

    def make(self, store: StageStore) -> str:
        """Make the record, and store it unless the method failed."""
        blank = self.blank(store)
        method = self.method.build()
        vectors = store.get(self.experts.vectors)
        encoder = functools.cache(self.experts.model.encoder)
        reads_here = method.track != "weights" and not isinstance(method, StandIn)
        try:
            edited = edit(
                method,
                self.handout(store, method),
                store=store.store,
                vectors=vectors,
                encoder=encoder() if reads_here else None,
                limits=self.method.plugins.limits,
            )
        except (CorruptArtifactError, KeyboardInterrupt):
            raise
        except DoesNotApplyError as error:
            found = _without_result("skipped", sentence(error))
        except BaseException as error:  # noqa: BLE001 - whatever a method does fails its own row
            _log.debug("The method %s failed.", method.name, exc_info=True)
            found = _failed(error)
        else:

            @functools.cache
            def read() -> Reader:
                pretrained = vectors.tensors["pretrained"]
                return self.experts.reader(store, pretrained, encoder=encoder())

            try:
                found = self._after(store, vectors, read, method, edited)
            except Exception as error:
                if not out_of_memory.is_out_of_memory(error):
                    raise
                found = _failed(error)
        # Made anew, since more may be worth a note now than when the row began.
        found["provenance"] = self._provenance(store)
        record = blank.model_copy(update=found)
        text = record.with_record_id().model_dump_json()
        if record.state == "ok":
            store.put(self, {}, {"record": text})
        return text

    def blank(self, store: StageStore) -> Record:
        """The record before anything ran, with all that is known beforehand."""
        return Record(
            suite=self.experts.suite,
            backbone=self.experts.backbone,
            heads=self.experts.head_kind,
            recipe=self.experts.recipe,
            experts=self.experts.brought,
            method=self.method.facts(),
            seeds=Seeds(expert=self.experts.seed, method=self.seed),
            state="skipped",
            reason="not run",
            provenance=self._provenance(store),
        )

    def without_process(self, store: StageStore) -> str:
        """A failed row."""
        update = {"state": "failed", "reason": "The process that ran it was ended."}
        return self.blank(store).model_copy(update=update).with_record_id().model_dump_json()

    def handout(
        self,
        store: StageStore,
        method: Method,
        *,
        task: str | None = None,
        budget: int | None = None,
    ) -> Handout:
        """What the method is handed; of one task alone where one is named."""
        tasks = tuple(self.experts.vectors.experts)
        chosen = tasks if task is None else (task,)
        inputs = chosen if method.track != "weights" else ()
        return Handout(
            store=str(store.store.root),
            device=store.device,
            provider=self.experts.model.provider,
            weights=self.experts.model.weights,
            recipe=self.experts.recipe,
            track=method.track,
            seed=self.seed,
            tasks=chosen,
            vectors=store.key(self.experts.vectors),
            rows=None if task is None else (tasks.index(task),),
            inputs={name: store.key(self.experts.inputs[name]) for name in inputs},
            heads={name: store.key(self.experts.heads[name]) for name in chosen},
            batch_size=self.batch_size,
            gradient_budget=self.gradient_images if budget is None else budget,
        )

    def _provenance(self, store: StageStore) -> Provenance:
        return self.experts.provenance(store, self.resolved)

    def _after(
        self,
        store: StageStore,
        vectors: Artifact,
        read: Callable[[], Reader],
        method: Method,
        edited: Edited,
    ) -> dict[str, object]:
        """What follows the edit, in code that calls nothing of the method."""
        own = edited.edit
        scales = candidates(scale_range_of(method, self.scale_ranges), self.trials)
        chosen = len(scales) > 1
        racing = self.racing if chosen and self.racing and read().pays_per_scale else None
        if chosen:
            read()  # the encoder is built before time is taken
        with measure() as selected:
            trials = self._trials(store, read(), own, scales, racing) if chosen else ()
        scale = best(trials).scale if trials else scales[0]
        with measure() as tested:
            evaluated = evaluate(store, self.experts, vectors, read, own, scale)
        return {
            "state": "ok",
            "reason": None,
            "scale": scale,
            "search": "racing" if racing else "exact",
            "search_error": racing.error if racing else 0.0,
            "curve": trials,
            **scores_of_tasks(evaluated),
            "geometry": geometry_of(own, scale, vectors),
            "counted": _counted(edited, trials),
            "storage": Storage(one_model=own.one_model, extra_bytes=own.extra_bytes),
            "measured": _measured(vectors, edited.spent, selected, tested),
        }

    def _trials(
        self,
        store: StageStore,
        read: Reader,
        own: Edit,
        scales: tuple[float, ...],
        racing: Racing | None,
    ) -> tuple[Trial, ...]:
        items = self.experts.validation(store)
        bits = store.get(self.experts.reference).tensors
        experts = {
            task: float(bits[f"validation/{task}/correct"].double().mean()) for task in items
        }
        if racing:
            return race(read, own, items, experts, scales, racing)
        return search(read, own, items, experts, scales)


def _failed(error: BaseException) -> dict[str, object]:
    is_short = out_of_memory.is_out_of_memory(error)
    reason = out_of_memory.explain(error) if is_short else sentence(error)
    return _without_result("failed", reason)


def _without_result(state: State, reason: str) -> dict[str, object]:
    return {"state": state, "reason": reason}


def scores_of_tasks(evaluated: Mapping[str, Evaluated]) -> dict[str, Any]:
    """The fields of a record that say what was right on test."""
    intervals = score_intervals(
        {task: own.correct for task, own in evaluated.items()},
        {task: own.expert_correct for task, own in evaluated.items()},
    )
    return {
        "tasks": tuple(own.result(task) for task, own in evaluated.items()),
        "accuracy": float(np.mean([own.accuracy for own in evaluated.values()])),
        "accuracy_low": intervals.accuracy_low,
        "accuracy_high": intervals.accuracy_high,
        "normalised_accuracy": float(
            np.mean([own.normalised_accuracy for own in evaluated.values()])
        ),
        "normalised_low": intervals.normalised_low,
        "normalised_high": intervals.normalised_high,
    }


def geometry_of(own: Edit, scale: float, vectors: Artifact) -> Geometry:
    """The geometry of an edit at a scale, beside the task vectors."""
    return geometry(scale * own.vector, vectors.tensors["task_vectors"], vectors.facts["tasks"])


def _counted(edited: Edited, trials: tuple[Trial, ...]) -> CountedCost:
    return CountedCost(
        trials=len(trials),
        selection_images=sum(trial.n_images for trial in trials),
        gradient_images=edited.gradient_images,
        forward_images=edited.forward_images,
        data_touched=dict(sorted(edited.touched.items())),
        extra_parameters=edited.edit.extra_parameters,
        own_word=edited.own_word,
    )


def _measured(vectors: Artifact, edited: Spent, selected: Spent, evaluated: Spent) -> MeasuredCost:
    return MeasuredCost(
        tune_seconds=vectors.facts["seconds"],
        tune_cpu_seconds=vectors.facts["cpu_seconds"],
        edit_seconds=edited.seconds,
        edit_cpu_seconds=edited.cpu_seconds,
        select_seconds=selected.seconds,
        select_cpu_seconds=selected.cpu_seconds,
        evaluate_seconds=evaluated.seconds,
        evaluate_cpu_seconds=evaluated.cpu_seconds,
        edit_peak_bytes=edited.peak_bytes,
        select_peak_bytes=selected.peak_bytes,
        evaluate_peak_bytes=evaluated.peak_bytes,
        edit_device_peak_bytes=edited.device_peak_bytes,
        select_device_peak_bytes=selected.device_peak_bytes,
        evaluate_device_peak_bytes=evaluated.device_peak_bytes,
    )
