"""The record of task negation: what is left of a task whose vector is subtracted."""

from __future__ import annotations

from typing import ClassVar

from taskmark.records.envelope import Envelope, MethodFacts
from taskmark.records.frozen import Frozen


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


class NegationRecord(Envelope):
    """Task negation of one backbone under one recipe, every task of the suite in turn.

    theta0 - alpha tau of the target, where alpha has the lowest validation accuracy on the target
    among those at which each control keeps the share `keep` of its pre-trained validation accuracy
    (Ilharco et al. 2023; Ortiz-Jimenez et al. 2023). `target` is the mean test accuracy over the
    negated tasks, the lower the better; `control` that over the tasks that control, each with the
    mean over the targets that it controls. A control is held on validation; its test accuracy may
    lie below `keep` by chance.

    Where `method` is said, tau is what that method makes of the target's task vector alone.
    """

    folder: ClassVar[str] = "negation"
    command: ClassVar[str] = "taskmark run --negation"
    unhashed: ClassVar[frozenset[str]] = frozenset({"seconds"})
    added: ClassVar[frozenset[str]] = frozenset({"method", "experts"})

    expert_seed: int
    method: MethodFacts | None = None
    keep: float
    tasks: tuple[NegatedTask, ...]
    target: MeanAccuracy
    control: MeanAccuracy
    seconds: float

    @property
    def made_by(self) -> MethodFacts | None:
        """The method that is negated; None where it is the task vector itself."""
        return self.method

    @property
    def seed_pair(self) -> tuple[int, int]:
        """The seed of the experts; a negated method draws nothing."""
        return self.expert_seed, 0

    def line(self) -> str:
        """What was found, for a terminal: means in %, before and after, with 95 % intervals."""
        targets = [task.target.pretrained_accuracy for task in self.tasks]
        controls = {c.task: c.pretrained_accuracy for task in self.tasks for c in task.controls}
        by = f", {self.method.name}" if self.method else ""
        return (
            f"Negation, {self.backbone}, {self.recipe}{by}: "
            f"targets {_change(targets, self.target)}, "
            f"controls {_change(list(controls.values()), self.control)}"
        )


def _change(before: list[float], after: MeanAccuracy) -> str:
    interval = f"[{100 * after.low:.1f}, {100 * after.high:.1f}]"
    return f"{100 * sum(before) / len(before):.1f} -> {100 * after.accuracy:.1f} {interval}"
