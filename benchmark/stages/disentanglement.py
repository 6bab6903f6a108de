"""The weight-disentanglement error xi: how much task vectors disturb each other's tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from taskmark.machine.costs import measure
from taskmark.records.provenance import provenance
from taskmark.records.record import DisentanglementRecord, PairGrid, pack_counts
from taskmark.stages.editing import own_reader
from taskmark.stages.evaluation import splits_of_test
from taskmark.stages.expert_reference import stored_passes
from taskmark.statistics.intervals import disentanglement_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from taskmark.context import Context
    from taskmark.stages.experts import Stand


def disagreements(classes: Tensor, alphas: Sequence[float], *, axis: int) -> Tensor:
    """Where a prediction with both vectors differs from that with the task's own vector alone.

    Args:
        classes: predictions on the images of one task, [G, G, N]; the first axis is alpha_1.
        alphas: the grid; it holds 0 once.
        axis: 0 if the task's own vector goes with the first axis, 1 if with the second.

    Returns:
        [G, G, N], bool.
    """
    zero = list(alphas).index(0.0)
    alone = classes[:, zero : zero + 1] if axis == 0 else classes[zero : zero + 1, :]
    return classes != alone


def unit_square(alphas: Sequence[float]) -> NDArray[np.intp]:
    """Indices of the grid that lie in [0, 1]."""
    values = np.asarray(alphas)
    return np.flatnonzero((values >= 0) & (values <= 1))


def make_disentanglement(context: Context, key: str, *, stand: Stand) -> str:
    """Measure xi on the suite's grid, and return the record as JSON.

    xi(a1, a2) = sum_t E_{x ~ task t} [ f(x; theta0 + a_t tau_t) != f(x; theta0 + a1 tau1 +
    a2 tau2) ], t = 1, 2 (Ortiz-Jimenez et al. 2023). All points of the grid share the images, and
    those on the axes serve as the single-task predictions, so the grid costs no pass besides.
    """
    grid = context.suite.protocol.disentanglement
    weights = context.store.get("vectors", stand.vectors)
    rows = dict(zip(weights.facts["tasks"], weights.tensors["task_vectors"], strict=True))
    splits = splits_of_test(context, stand, n_images=grid.n_images, pick=grid.images)
    read = own_reader(context, stand, weights.tensors["pretrained"])
    inside = torch.from_numpy(unit_square(grid.alphas))
    pairs: list[PairGrid] = []
    per_image: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    with measure() as spent:
        for first, second in grid.pairs:
            work = {task: (splits[task].head, splits[task].inputs) for task in (first, second)}
            classes = read.predict_grid((rows[first], rows[second]), grid.alphas, work)
            sides = [
                disagreements(classes[task], grid.alphas, axis=axis).double()
                for axis, task in enumerate((first, second))
            ]
            xi = sides[0].mean(-1) + sides[1].mean(-1)  # [G, G]
            counts = [side[inside][:, inside].sum((0, 1)).long().numpy() for side in sides]
            pairs.append(
                PairGrid(
                    task_1=first,
                    task_2=second,
                    xi=tuple(map(tuple, xi.tolist())),
                    images_1=pack_counts(counts[0]),
                    images_2=pack_counts(counts[1]),
                )
            )
            per_image.append((counts[0] / len(inside) ** 2, counts[1] / len(inside) ** 2))  # [N]
    low, high = disentanglement_interval(per_image, names=grid.pairs)
    record = DisentanglementRecord(
        suite=context.suite.facts,
        backbone=stand.backbone,
        heads=context.suite.backbones[stand.backbone].heads,
        recipe=stand.recipe,
        experts=context.expert_facts(stand.backbone, stand.expert_seed),
        expert_seed=stand.expert_seed,
        n_images=grid.n_images,
        alphas=grid.alphas,
        pairs=tuple(pairs),
        unit_square=float(np.mean([one.mean() + two.mean() for one, two in per_image])),
        low=low,
        high=high,
        seconds=spent.seconds,
        provenance=provenance(context, stored_passes(context, stand.normaliser)),
    )
    text = record.identified().model_dump_json()
    context.store.put("disentanglement", key, {}, {"record": text})
    return text
