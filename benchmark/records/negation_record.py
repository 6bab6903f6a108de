"""The record of task negation: what is left of a task whose vector is subtracted."""

from __future__ import annotations

from taskmark.records.record import Frozen, MethodFacts, OfExperts, Provenance


class NegationTrial(Frozen):
    """Accuracies on validation of theta0 - alpha tau, of the target and of each control."""

    alpha: float
    target: float
    controls: tuple[float, ...]


class NegationResult(Frozen):
    """What a negated model did on the test images of one task.

    Attributes:
        task: name of the task.
        n: number of test images.
        n_correct: how many were classified correctly.
        accuracy: n_correct / n, a fraction.
        low: lower end of the 95 % interval of `accuracy` (Wilson).
        high: upper end of it.
        bits: one bit per test image, as in `TaskResult`.
        pretrained_accuracy: that of the pre-trained model on the same images.
    """

    task: str
    n: int
    n_correct: int
    accuracy: float
    low: float
    high: float
    bits: str
    pretrained_accuracy: float


class NegatedTask(Frozen):
    """The negation of one task: `alpha` was chosen on validation, from `curve`."""

    target: NegationResult
    controls: tuple[NegationResult, ...]
    alpha: float
    curve: tuple[NegationTrial, ...]


class MeanAccuracy(Frozen):
    """A mean of accuracies over tasks, with its 95 % interval (images resampled within tasks)."""

    accuracy: float
    low: float
    high: float


class NegationRecord(OfExperts):
    """Task negation of one backbone under one recipe, every task of the suite in turn.

    theta0 - alpha tau of the target, where alpha has the lowest validation accuracy on the target
    among those at which each control keeps the share `keep` of its pre-trained validation accuracy
    (Ilharco et al. 2023; Ortiz-Jimenez et al. 2023). `target` is the mean test accuracy over the
    negated tasks, the lower the better; `control` that over the tasks that control, each with the
    mean over the targets that it controls. A control is held on validation; its test accuracy may
    lie below `keep` by chance.

    Where `method` is said, tau is what that method makes of the target's task vector alone.
    `experts` is as in `Record`.
    """

    not_content = frozenset({"seconds"})
    added = frozenset({"method", "experts"})

    expert_seed: int
    method: MethodFacts | None = None
    keep: float
    tasks: tuple[NegatedTask, ...]
    target: MeanAccuracy
    control: MeanAccuracy
    seconds: float
    provenance: Provenance
