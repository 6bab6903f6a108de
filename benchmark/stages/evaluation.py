"""The evaluation stage: the only place where test data is read, once, after every choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from taskmark.inference.scale_search import Split, predict
from taskmark.records.packing import pack_bits
from taskmark.records.record import TaskResult
from taskmark.stages.picking import picked
from taskmark.statistics.intervals import normalised_accuracy, proportion_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from taskmark.context import Context
    from taskmark.contract.edit import Edit
    from taskmark.inference.readers import Reader
    from taskmark.stages.experts import Stand
    from taskmark.stages.picking import Pick
    from taskmark.store.artifacts import Artifact


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an edited model did on one task's test images, beside the task's expert, [N] each."""

    correct: NDArray[np.bool_]
    expert_correct: NDArray[np.bool_]
    disagreement: float

    @property
    def accuracy(self) -> float:
        """Share of correct images."""
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
    context: Context, stand: Stand, vectors: Artifact, read: Reader, edit: Edit, scale: float
) -> Mapping[str, Outcome]:
    """Predict all test images at the chosen scale.

    Where the edit serves a task by the task's own expert, the predictions that normalise it are
    taken instead of being made again.
    """
    splits = splits_of_test(context, stand)
    experts = context.store.get("normaliser", stand.normaliser).tensors
    own = _served_by_expert(vectors, edit) if scale == 1 else set()
    rest = {task: split for task, split in splits.items() if task not in own}
    classes = {task: rows[0] for task, rows in predict(read, edit, rest, [scale]).items()}
    outcomes = {}
    for task, split in splits.items():
        theirs = experts[f"test/{task}"]
        ours = theirs if task in own else classes[task]
        outcomes[task] = Outcome(
            correct=(ours == split.labels).numpy(),
            expert_correct=experts[f"test/{task}/correct"].numpy().copy(),
            disagreement=float((ours != theirs).double().mean()),
        )
    return outcomes


def _served_by_expert(vectors: Artifact, edit: Edit) -> set[str]:
    experts = dict(zip(vectors.facts["tasks"], vectors.tensors["task_vectors"], strict=True))
    return {
        task
        for task, vector in edit.per_task.items()
        if task not in edit.heads and torch.equal(vector, experts[task])
    }


def splits_of_test(
    context: Context, stand: Stand, *, n_images: int | None = None, pick: Pick = "first"
) -> dict[str, Split]:
    """The test split of each task, or `n_images` of it, see `taskmark.stages.picking`."""
    splits = {}
    for task, key in stand.inputs.items():
        tensors = context.store.get("inputs_test", key).tensors
        inputs, labels = tensors["test"], tensors["test_labels"]
        n_wanted = len(labels) if n_images is None else n_images
        rows = picked(len(labels), n_wanted, pick, task=task)
        splits[task] = Split(stand.head(context, task), inputs[rows], labels[rows])
    return splits
