"""Task negation: how much of one task can be taken out of a model while the others stay.

The task vector of the target is subtracted, theta0 - alpha tau. On validation, alpha is the one of
lowest target accuracy among those at which every control task keeps a share (0.95) of its
pre-trained accuracy (Ilharco et al. 2023; Ortiz-Jimenez et al. 2023). Test data is read once, after
all alphas are chosen.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskmark.contract.recipe import get_recipe
from taskmark.engine.stage import Cost, RecordStage, not_made_first, outside_key
from taskmark.errors import CorruptArtifactError, TaskmarkError, sentence
from taskmark.inference.readers import passes_per_item
from taskmark.inference.scale_search import candidates, scale_range_of
from taskmark.machine.costs import measure
from taskmark.records.negation_record import (
    MeanAccuracy,
    NegatedTask,
    NegationRecord,
    NegationResult,
    NegationTrial,
)
from taskmark.records.packing import pack_bits
from taskmark.stages.editing import edit
from taskmark.stages.row import MeasureRow
from taskmark.statistics.intervals import proportion_interval, seed_intervals
from taskmark.statistics.resampling import Scores

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark.contract.method import Method
    from taskmark.engine.plan import Request
    from taskmark.engine.stage_store import StageStore
    from taskmark.inference.items import Items
    from taskmark.inference.readers import Reader
    from taskmark.records.envelope import MethodFacts
    from taskmark.stages.expert_set import ExpertSet
    from taskmark.suite.protocol import NegationRule
    from taskmark.suite.suite_file import Suite
    from taskmark.suites.task_data import Sizes

_log = logging.getLogger(__name__)

ALPHAS = (0.0, 1.0)
"""Ends of the grid of alpha; it has as many points as every scale search of the suite."""

_ROUNDING = 1e-9  # 19 of 100 are 95 % of 20 of 100, whatever the last bit says


def controls_of(
    target: str,
    tasks: Sequence[str],
    wanted: int | Sequence[str] | Mapping[str, Sequence[str]],
    *,
    others: Collection[str] = (),
) -> tuple[str, ...]:
    """The tasks that control the negation of a target.

    Args:
        target: the task that is negated.
        tasks: all tasks, in the suite's order; two or more.
        wanted: controls of every target, or by target, or how many of the tasks that follow the
            target, from the last on with the first. A target without a control has the next task.
        others: tasks that only control, and are not in `tasks`.
    """
    place = list(tasks).index(target)
    following = (*tasks[place + 1 :], *tasks[:place])
    if isinstance(wanted, int):
        return following[:wanted]
    listed = wanted.get(target, ()) if isinstance(wanted, Mapping) else wanted
    named = tuple(task for task in listed if task in following or task in others)
    return named or following[:1]


def choose(curve: Sequence[NegationTrial], keep: float) -> NegationTrial:
    """The trial of lowest target accuracy whose controls all keep enough.

    Args:
        curve: trials on validation; one has alpha = 0, and is the pre-trained model.
        keep: the share of its pre-trained accuracy that each control must keep.

    Returns:
        Of equal trials the one of smallest alpha; where no other qualifies, alpha = 0, which does.
    """
    pretrained = next(trial for trial in curve if trial.alpha == 0)
    qualified = (
        trial
        for trial in curve
        if all(
            now >= keep * before - _ROUNDING
            for now, before in zip(trial.controls, pretrained.controls, strict=True)
        )
    )
    return min(qualified, key=lambda trial: (trial.target, trial.alpha))


def sweep(
    read: Reader,
    direction: Tensor,
    items: Mapping[str, Items],
    target: str,
    controls: Sequence[str],
    alphas: Sequence[float],
) -> tuple[NegationTrial, ...]:
    """Accuracies of theta0 - alpha * direction.

    Args:
        read: how weights are read.
        direction: what is subtracted, [P].
        items: of validation, by task.
        target: the task that is negated.
        controls: the tasks that control it.
        alphas: what to try.

    Returns:
        One trial an alpha, in order.
    """
    bits = _correct(read, direction, items, (target, *controls), alphas)
    accuracy = {task: rows.mean(1).tolist() for task, rows in bits.items()}
    return tuple(
        NegationTrial(
            alpha=alpha,
            target=accuracy[target][place],
            controls=tuple(accuracy[control][place] for control in controls),
        )
        for place, alpha in enumerate(alphas)
    )


@dataclass(frozen=True)
class Negation(RecordStage):
    """Every task of the suite negated in turn, by its task vector or by what a method makes of it.

    Attributes:
        experts: whose task vectors; with the tasks that only control.
        controls: the tasks that control each target, see `controls_of`.
        keep: as in `choose`.
        trials: points of the grid of alpha.
        row: of the method, where a method makes the directions; it is run on one task at a time.
        resolved: hashes that the run found where the suite leaves them open, for the record.
    """

    name = "negation"
    version = 1
    record = NegationRecord

    experts: ExpertSet
    controls: Mapping[str, tuple[str, ...]]
    keep: float
    trials: int
    row: MeasureRow | None = not_made_first(None)
    resolved: Mapping[str, str] | None = outside_key(None)

    @classmethod
    def plan(cls, request: Request) -> Iterator[Negation]:
        """For each expert set, and each row whose method has a direction of its own."""
        if not request.negation:
            return
        suite = request.suite
        rule = _rule(suite)
        tasks = list(suite.tasks)
        controls = {
            task: controls_of(task, tasks, rule.controls, others=suite.controls) for task in tasks
        }
        for experts in request.expert_sets():
            whole = experts.with_controls(suite)
            shared = (whole, controls, rule.keep, suite.protocol.trials)
            yield cls(*shared, resolved=request.resolved)
            for row in MeasureRow.plan(request):
                same = row.experts.reference.identity == experts.reference.identity
                if same and has_direction_of_its_own(request.method(row.method.name)):
                    yield cls(*shared, row=row, resolved=request.resolved)

    @property
    def label(self) -> str:
        """See Stage."""
        by = f" by {self.row.method.name}" if self.row else ""
        return f"{self.experts.backbone}, {self.experts.recipe}: task negation{by}"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Validation at every alpha and test twice, for each target and its controls."""
        mode = get_recipe(self.experts.recipe).read
        n_readings = self.trials if mode == "standard" else 1
        reading = 0
        for target, controls in self.controls.items():
            known = [sizes[task] for task in (target, *controls) if task in sizes]
            reading += sum(n_readings * size.validation + 2 * size.test for size in known)
        learning = self.row.cost(sizes).learning if self.row else 0.0
        return Cost(self.experts.model, reading=passes_per_item(mode) * reading, learning=learning)

    def make(self, store: StageStore) -> str | None:
        """Negate every task, and return the record as JSON.

        Where a method makes the directions: each edit is of one task alone, with its data alone,
        and with an equal share of the suite's budget of gradient images. Alpha then lies between 0
        and the upper end of the method's own range of scales, 1 where it has none.

        Returns:
            None where the method fails, or returns no direction: heads of its own, weights for a
            single task, or nothing but zeros.
        """
        if self.row is None:
            weights = store.get(self.experts.vectors)
            tasks, vectors = weights.facts["tasks"], weights.tensors["task_vectors"]
            record = self._negated(store, dict(zip(tasks, vectors, strict=True)))
        else:
            method = self.row.method.build()
            try:
                with measure() as edited:
                    directions = self._directions(store, self.row, method)
            except (CorruptArtifactError, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - whatever a method does fails its own row
                _log.warning("The negation by %s failed: %s", method.name, sentence(error))
                return None
            if directions is None:
                store.put(self, {}, {"record": ""})
                return None
            scales = scale_range_of(method, self.row.scale_ranges)
            alphas = (ALPHAS[0], scales[1] if scales else ALPHAS[1])
            record = self._negated(store, directions, alphas=alphas, method=self.row.method.facts())
            record = record.model_copy(update={"seconds": edited.seconds + record.seconds})
        text = record.with_record_id().model_dump_json()
        store.put(self, {}, {"record": text})
        return text

    def _directions(
        self, store: StageStore, row: MeasureRow, method: Method
    ) -> dict[str, Tensor] | None:
        """What the method makes of each task, [P]; None where one of them is no direction."""
        tasks = tuple(self.experts.vectors.experts)
        budget = row.gradient_images // len(tasks)
        vectors = store.get(self.experts.vectors)
        directions: dict[str, Tensor] = {}
        for task in tasks:
            handout = row.handout(store, method, task=task, budget=budget)
            limits = row.method.plugins.limits
            own = edit(method, handout, store=store.store, vectors=vectors, limits=limits).edit
            if own.heads or not own.one_model or own.linearised_at is not None:
                return None
            directions[task] = own.vector
        return directions if any(vector.any() for vector in directions.values()) else None

    def _negated(
        self,
        store: StageStore,
        directions: Mapping[str, Tensor],
        *,
        alphas: tuple[float, float] = ALPHAS,
        method: MethodFacts | None = None,
    ) -> NegationRecord:
        """Subtract each task's direction, and measure what is left of the task and its controls.

        Args:
            store: of the run.
            directions: what is subtracted for each target, [P].
            alphas: ends of the grid of alpha, of which the lower is 0.
            method: what made the directions; None where they are the task vectors themselves.

        Returns:
            The record, not yet identified.
        """
        experts, controls = self.experts, self.controls
        pretrained = store.get(experts.vectors).tensors["pretrained"]
        read = experts.reader(store, pretrained)
        grid = candidates(alphas, self.trials)
        with measure() as spent:
            items = experts.validation(store)
            curves = {
                target: sweep(read, vector, items, target, controls[target], grid)
                for target, vector in directions.items()
            }
            chosen = {target: choose(curve, self.keep).alpha for target, curve in curves.items()}
            items = experts.test(store)
            bits = {  # target -> task -> [2, N], pre-trained and negated
                target: _correct(
                    read, vector, items, (target, *controls[target]), (0.0, chosen[target])
                )
                for target, vector in directions.items()
            }
        return NegationRecord(
            method=method,
            suite=experts.suite,
            backbone=experts.backbone,
            heads=experts.head_kind,
            recipe=experts.recipe,
            experts=experts.brought,
            expert_seed=experts.seed,
            keep=self.keep,
            tasks=tuple(
                NegatedTask(
                    target=_tested(target, bits[target][target]),
                    controls=tuple(_tested(task, bits[target][task]) for task in controls[target]),
                    alpha=chosen[target],
                    curve=curves[target],
                )
                for target in directions
            ),
            target=_mean((target, rows[target][1]) for target, rows in bits.items()),
            control=_mean(
                (c, rows[c][1]) for target, rows in bits.items() for c in controls[target]
            ),
            seconds=spent.seconds,
            provenance=experts.provenance(store, self.resolved),
        )


def has_direction_of_its_own(method: type[Method]) -> bool:
    """Whether negation by a method can differ from negation of the task vector.

    It cannot where a single task gives the direction of its task vector, and baselines and
    references are no methods of arithmetic on weights.
    """
    return method.role == "competitor" and method.takes(1) and not method.keeps_direction


def _rule(suite: Suite) -> NegationRule:
    rule = suite.protocol.negation
    if rule is None:
        raise TaskmarkError(
            f"The suite {suite.name} {suite.version} has no section [protocol.negation]; "
            "leave negation out, or run a suite that has it."
        )
    tasks = list(suite.tasks)
    if len(tasks) == 1 and not suite.controls:
        raise TaskmarkError(
            f"The only task, {tasks[0]!r}, cannot be negated without another "
            "that controls it; run two tasks or more."
        )
    return rule


def _correct(
    read: Reader,
    direction: Tensor,
    items: Mapping[str, Items],
    tasks: Iterable[str],
    alphas: Sequence[float],
) -> dict[str, NDArray[np.bool_]]:
    """What theta0 - alpha * direction gets right, task -> [A, N]."""
    work = {task: items[task] for task in tasks}
    answers = read.predict(direction, [-alpha for alpha in alphas], work)
    return {task: items[task].correct(rows).numpy() for task, rows in answers.items()}


def _tested(task: str, bits: NDArray[np.bool_]) -> NegationResult:
    """The accuracy on one task, from the bits of the pre-trained and the negated model, [2, N]."""
    before, after = bits
    low, high = proportion_interval(int(after.sum()), len(after))
    return NegationResult(
        task=task,
        n=len(after),
        n_correct=int(after.sum()),
        accuracy=float(after.mean()),
        low=low,
        high=high,
        bits=pack_bits(after),
        pretrained_accuracy=float(before.mean()),
    )


def _mean(entries: Iterable[tuple[str, NDArray[np.bool_]]]) -> MeanAccuracy:
    """The mean over tasks; one that comes up several times counts with the mean of its bits."""
    by_task: dict[str, list[NDArray[np.bool_]]] = defaultdict(list)
    for task, bits in entries:
        by_task[task].append(bits)
    means = {task: np.mean(rows, axis=0) for task, rows in by_task.items()}  # [N] each
    # Only the accuracy is of interest, so what would normalise it is the same.
    found = seed_intervals(Scores(correct={0: means}, reference={0: means}))
    return MeanAccuracy(
        accuracy=float(np.mean([mean.mean() for mean in means.values()])),
        low=found.accuracy_low,
        high=found.accuracy_high,
    )
