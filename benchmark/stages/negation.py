"""Task negation: how much of one task can be taken out of a model while the others stay.

The task vector of the target is subtracted, theta0 - alpha tau. On validation, alpha is the one of
lowest target accuracy among those at which every control task keeps a share (0.95) of its
pre-trained accuracy (Ilharco et al. 2023; Ortiz-Jimenez et al. 2023). Test data is read once, after
all alphas are chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from taskmark.inference.scale_search import candidates, splits_of_validation
from taskmark.machine.costs import measure
from taskmark.records.negation_record import (
    MeanAccuracy,
    NegatedTask,
    NegationRecord,
    NegationResult,
    NegationTrial,
)
from taskmark.records.provenance import provenance
from taskmark.records.record import pack_bits
from taskmark.stages.editing import own_reader
from taskmark.stages.evaluation import splits_of_test
from taskmark.stages.expert_reference import stored_passes
from taskmark.statistics.intervals import proportion_interval, seed_intervals
from taskmark.statistics.resampling import Scores

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from taskmark.context import Context
    from taskmark.inference.readers import Reader
    from taskmark.inference.scale_search import Split
    from taskmark.records.record import MethodFacts
    from taskmark.stages.experts import Stand

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
    splits: Mapping[str, Split],
    target: str,
    controls: Sequence[str],
    alphas: Sequence[float],
) -> tuple[NegationTrial, ...]:
    """Accuracies of theta0 - alpha * direction.

    Args:
        read: how weights are read.
        direction: what is subtracted, [P].
        splits: the validation split of each task.
        target: the task that is negated.
        controls: the tasks that control it.
        alphas: what to try.

    Returns:
        One trial an alpha, in order.
    """
    bits = _correct(read, direction, splits, (target, *controls), alphas)
    accuracy = {task: rows.mean(1).tolist() for task, rows in bits.items()}
    return tuple(
        NegationTrial(
            alpha=alpha,
            target=accuracy[target][place],
            controls=tuple(accuracy[control][place] for control in controls),
        )
        for place, alpha in enumerate(alphas)
    )


def make_negation(
    context: Context, key: str, *, stand: Stand, controls: Mapping[str, Sequence[str]], keep: float
) -> str:
    """Negate every task of the suite in turn, and return the record as JSON.

    `controls` are the tasks that control each target, see `controls_of`; `keep` as in `choose`.
    """
    weights = context.store.get("vectors", stand.vectors)
    directions = dict(zip(weights.facts["tasks"], weights.tensors["task_vectors"], strict=True))
    record = negated(context, stand, directions, controls=controls, keep=keep)
    text = record.identified().model_dump_json()
    context.store.put("negation", key, {}, {"record": text})
    return text


def negated(
    context: Context,
    stand: Stand,
    directions: Mapping[str, Tensor],
    *,
    controls: Mapping[str, Sequence[str]],
    keep: float,
    alphas: tuple[float, float] = ALPHAS,
    method: MethodFacts | None = None,
) -> NegationRecord:
    """Subtract each task's direction, and measure what is left of the task and of its controls.

    Args:
        context: of the run.
        stand: the backbone, recipe and expert seed.
        directions: what is subtracted for each target, [P].
        controls: the tasks that control each target, see `controls_of`.
        keep: as in `choose`.
        alphas: ends of the grid of alpha, of which the lower is 0.
        method: what made the directions of the task vectors; None where they are those themselves.

    Returns:
        The record, not yet identified.
    """
    weights = context.store.get("vectors", stand.vectors)
    read = own_reader(context, stand, weights.tensors["pretrained"])
    grid = candidates(alphas, context.suite.protocol.trials)
    with measure() as spent:
        splits = splits_of_validation(context, stand)
        curves = {
            target: sweep(read, vector, splits, target, controls[target], grid)
            for target, vector in directions.items()
        }
        chosen = {target: choose(curve, keep).alpha for target, curve in curves.items()}
        splits = splits_of_test(context, stand)
        bits = {  # target -> task -> [2, N], pre-trained and negated
            target: _correct(
                read, vector, splits, (target, *controls[target]), (0.0, chosen[target])
            )
            for target, vector in directions.items()
        }
    return NegationRecord(
        method=method,
        suite=context.suite.facts,
        backbone=stand.backbone,
        heads=context.suite.backbones[stand.backbone].heads,
        recipe=stand.recipe,
        experts=context.expert_facts(stand.backbone, stand.expert_seed),
        expert_seed=stand.expert_seed,
        keep=keep,
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
        control=_mean((c, rows[c][1]) for target, rows in bits.items() for c in controls[target]),
        seconds=spent.seconds,
        provenance=provenance(context, stored_passes(context, stand.normaliser)),
    )


def _correct(
    read: Reader,
    direction: Tensor,
    splits: Mapping[str, Split],
    tasks: Iterable[str],
    alphas: Sequence[float],
) -> dict[str, NDArray[np.bool_]]:
    """What theta0 - alpha * direction gets right, task -> [A, N]."""
    work = {task: (splits[task].head, splits[task].inputs) for task in tasks}
    classes = read.predict(direction, [-alpha for alpha in alphas], work)
    return {task: (rows == splits[task].labels).numpy() for task, rows in classes.items()}


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
