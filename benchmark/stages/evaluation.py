"""The evaluation: the only place where rows read test data, once, after every choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from taskmark.inference.scale_search import predict
from taskmark.records.packing import pack_bits
from taskmark.records.record import TaskResult
from taskmark.statistics.intervals import normalised_accuracy, proportion_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from taskmark.contract.edit import Edit
    from taskmark.engine.stage_store import StageStore
    from taskmark.inference.readers import Reader
    from taskmark.stages.expert_set import ExpertSet
    from taskmark.store.artifacts import Artifact


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an edited model did on one task's items of test, beside the task's expert, [N] each."""

    correct: NDArray[np.bool_]
    expert_correct: NDArray[np.bool_]
    disagreement: float

    @property
    def accuracy(self) -> float:
        """Share of correct items."""
        return float(self.correct.mean())

    @property
    def normalised_accuracy(self) -> float:
        """Accuracy over the expert's."""
        return normalised_accuracy({"": self.correct}, {"": self.expert_correct})

    def result(self, task: str) -> TaskResult:
        """The task's part of a record."""
        n, n_correct = len(self.correct), int(self.correct.sum())
        low, high = proportion_interval(n_correct, n)
        return TaskResult(
            task=task,
            n=n,
            n_correct=n_correct,
            accuracy=self.accuracy,
            low=low,
            high=high,
            normalised_accuracy=self.normalised_accuracy,
            bits=pack_bits(self.correct),
            disagreement=self.disagreement,
        )


def evaluate(
    store: StageStore,
    experts: ExpertSet,
    vectors: Artifact,
    read: Callable[[], Reader],
    edit: Edit,
    scale: float,
) -> Mapping[str, Evaluated]:
    """Answer all items of test at the chosen scale.

    Where the edit serves a task by the task's own expert, the answers that normalise it are taken
    instead of being made again.

    Args:
        store: of the run.
        experts: what the edit was made of.
        vectors: their task vectors.
        read: makes the reader, where anything is left to be read.
        edit: what a method returned.
        scale: of the merged vector.
    """
    items = experts.test(store)
    reference = store.get(experts.reference).tensors
    own = _served_by_expert(vectors, edit) if scale == 1 else set()
    rest = {task: split for task, split in items.items() if task not in own}
    found = predict(read(), edit, rest, [scale]) if rest else {}
    evaluated = {}
    for task, split in items.items():
        theirs = reference[f"test/{task}"]
        ours = theirs if task in own else found[task][0]
        evaluated[task] = Evaluated(
            correct=split.correct(ours).numpy(),
            expert_correct=reference[f"test/{task}/correct"].numpy().copy(),
            disagreement=float((ours != theirs).double().mean()),
        )
    return evaluated


def _served_by_expert(vectors: Artifact, edit: Edit) -> set[str]:
    experts = dict(zip(vectors.facts["tasks"], vectors.tensors["task_vectors"], strict=True))
    return {
        task
        for task, vector in edit.per_task.items()
        if task not in edit.heads and torch.equal(vector, experts[task])
    }
