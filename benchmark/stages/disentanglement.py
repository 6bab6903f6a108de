"""The weight-disentanglement error xi: how much task vectors disturb each other's tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from taskmark.contract.recipe import get_recipe
from taskmark.engine.stage import Cost, RecordStage, outside_key
from taskmark.inference.readers import passes_per_item
from taskmark.machine.costs import measure
from taskmark.records.disentanglement_record import DisentanglementRecord, PairGrid
from taskmark.records.packing import pack_counts
from taskmark.statistics.intervals import disentanglement_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from taskmark.engine.plan import Request
    from taskmark.engine.stage_store import StageStore
    from taskmark.stages.expert_set import ExpertSet
    from taskmark.suite.protocol import DisentanglementGrid
    from taskmark.suites.task_data import Sizes


def disagreements(answers: Tensor, alphas: Sequence[float], *, axis: int) -> Tensor:
    """Where a prediction with both vectors differs from that with the task's own vector alone.

    Args:
        answers: predictions on the items of one task, [G, G, N]; the first axis is alpha_1.
        alphas: the grid; it holds 0 once.
        axis: 0 if the task's own vector goes with the first axis, 1 if with the second.

    Returns:
        [G, G, N], bool.
    """
    zero = list(alphas).index(0.0)
    alone = answers[:, zero : zero + 1] if axis == 0 else answers[zero : zero + 1, :]
    return answers != alone


def unit_square(alphas: Sequence[float]) -> NDArray[np.intp]:
    """Indices of the grid that lie in [0, 1]."""
    values = np.asarray(alphas)
    return np.flatnonzero((values >= 0) & (values <= 1))


@dataclass(frozen=True)
class Disentanglement(RecordStage):
    """xi of an expert set on the suite's grid.

    xi(a1, a2) = sum_t E_{x ~ task t} [ f(x; theta0 + a_t tau_t) != f(x; theta0 + a1 tau1 +
    a2 tau2) ], t = 1, 2 (Ortiz-Jimenez et al. 2023). All points of the grid share the items, and
    those on the axes serve as the single-task predictions, so the grid costs no pass besides.
    """

    name = "disentanglement"
    version = 1
    record = DisentanglementRecord

    experts: ExpertSet
    grid: DisentanglementGrid
    resolved: Mapping[str, str] | None = outside_key(None)

    @classmethod
    def plan(cls, request: Request) -> Iterator[Disentanglement]:
        """One for each expert set in play, where the suite names pairs of tasks."""
        grid = request.suite.protocol.disentanglement
        if grid.pairs:
            for experts in request.expert_sets():
                yield cls(experts, grid, request.resolved)

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.experts.backbone}, {self.experts.recipe}: weight disentanglement"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Every point of the grid is read; two passes are enough where the model is linear."""
        mode = get_recipe(self.experts.recipe).read
        points = len(self.grid.alphas) ** 2 if mode == "standard" else 2
        paired = [task for pair in self.grid.pairs for task in pair if task in sizes]
        n_items = sum(min(self.grid.n_images, sizes[task].test) for task in paired)
        return Cost(self.experts.model, reading=passes_per_item(mode) * points * n_items)

    def make(self, store: StageStore) -> str:
        """Measure xi, and return the record as JSON."""
        grid, experts = self.grid, self.experts
        weights = store.get(experts.vectors)
        rows = dict(zip(weights.facts["tasks"], weights.tensors["task_vectors"], strict=True))
        items = experts.test(store, n_items=grid.n_images, pick=grid.images)
        read = experts.reader(store, weights.tensors["pretrained"])
        inside = torch.from_numpy(unit_square(grid.alphas))
        pairs: list[PairGrid] = []
        per_item: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        with measure() as spent:
            for first, second in grid.pairs:
                work = {task: items[task] for task in (first, second)}
                answers = read.predict_grid((rows[first], rows[second]), grid.alphas, work)
                sides = [
                    disagreements(answers[task], grid.alphas, axis=axis).double()
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
                n_points = len(inside) ** 2
                per_item.append((counts[0] / n_points, counts[1] / n_points))  # [N] each
        low, high = disentanglement_interval(per_item, names=grid.pairs)
        record = DisentanglementRecord(
            suite=experts.suite,
            backbone=experts.backbone,
            heads=experts.head_kind,
            recipe=experts.recipe,
            experts=experts.brought,
            expert_seed=experts.seed,
            n_images=grid.n_images,
            alphas=grid.alphas,
            pairs=tuple(pairs),
            unit_square=float(np.mean([one.mean() + two.mean() for one, two in per_item])),
            low=low,
            high=high,
            seconds=spent.seconds,
            provenance=experts.provenance(store, self.resolved),
        )
        text = record.with_record_id().model_dump_json()
        store.put(self, {}, {"record": text})
        return text
