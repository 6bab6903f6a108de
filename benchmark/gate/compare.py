"""Comparing two sets of rows image by image, within what a suite tolerates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from taskmark.errors import TaskmarkError
from taskmark.records.identity import RowIdentity, identify_row
from taskmark.records.packing import unpack_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from taskmark.records.identity import Defaults
    from taskmark.records.record import Record
    from taskmark.suite.protocol import Gate

LEVEL = 0.05

ChangeVerdict = Literal["same", "absorbed", "within", "moved"]
"""Nothing flipped; no more than the budget; more, but neither test rejects; one of them does."""

Ground = Literal["epsilon", "chance"]
"""Why an accuracy counts as moved: beyond the suite's epsilon, or beyond chance (McNemar)."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What one row measured: which test images of each task were right, [n] each.

    `reason` says why a row is not ok, and its tasks are then empty. `built_in` is whether the
    method belongs to taskmark itself, and `defaults` those of its hyper-parameters.
    """

    ok: bool
    reason: str
    built_in: bool
    scale: float | None
    correct: Mapping[str, NDArray[np.bool_]]
    defaults: Mapping[str, Any] = field(default_factory=dict)


Rows = dict[RowIdentity, RowResult]


@dataclass(frozen=True, slots=True)
class TaskChange:
    """How one row changed on one task.

    Attributes:
        row: what identifies the row.
        task: the task.
        n: its test images.
        before: how many were right in the first set.
        after: how many in the second.
        lost: images that were right before and are wrong now.
        gained: images that were wrong before and are right now.
        p_value: McNemar's exact test on `lost` and `gained`, adjusted by Holm over all changes.
        grounds: why it counts as moved; empty where it does not.
        absorbed: whether the budget of flips covers all that flipped.
    """

    row: RowIdentity
    task: str
    n: int
    before: int
    after: int
    lost: int
    gained: int
    p_value: float
    grounds: tuple[Ground, ...]
    absorbed: bool

    @property
    def verdict(self) -> ChangeVerdict:
        """What became of it."""
        if not self.lost + self.gained:
            return "same"
        if self.absorbed:
            return "absorbed"
        return "moved" if self.grounds else "within"


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The changes of common rows, and the rows that only one side has.

    Attributes:
        changes: of the rows that are ok on both sides, task by task.
        missing: rows that are gone.
        broken: rows that were ok and are not any more, with the reason.
        failed: other rows that are not ok, with the reason.
        new: rows that are ok and were not there, or not ok.
        unguarded: rows of built-in methods, ok or not, that a baseline ought to hold and does not.
        tolerances: what the suites tolerate, by "name@version".
    """

    changes: tuple[TaskChange, ...]
    missing: tuple[RowIdentity, ...]
    broken: dict[RowIdentity, str]
    failed: dict[RowIdentity, str]
    new: tuple[RowIdentity, ...]
    unguarded: tuple[RowIdentity, ...]
    tolerances: dict[str, Gate]

    @property
    def changed_tasks(self) -> tuple[TaskChange, ...]:
        """The changes beyond what is tolerated."""
        return tuple(change for change in self.changes if change.verdict == "moved")

    @property
    def passed(self) -> bool:
        """Whether no accuracy moved, and no row vanished, broke or goes unguarded."""
        return not (self.changed_tasks or self.missing or self.broken or self.unguarded)


def rows_of(records: Iterable[Record]) -> Rows:
    """The rows of records.

    Raises:
        TaskmarkError: if two records are of one row.
    """
    return _once(
        (
            identify_row(record),
            RowResult(
                ok=record.state == "ok",
                reason=record.reason or "",
                built_in=record.method.origin == "built-in",
                scale=record.scale,
                correct={task.task: unpack_bits(task.bits, task.n) for task in record.tasks},
                defaults=record.method.defaults,
            ),
        )
        for record in records
    )


def _once(rows: Iterable[tuple[RowIdentity, RowResult]]) -> Rows:
    """Rows by their identities.

    Raises:
        TaskmarkError: if two are one row.
    """
    found: Rows = {}
    for key, row in rows:
        if key in found:
            raise TaskmarkError(
                f"Two records are of one row, {key.backbone} {key.recipe} {key.method} of "
                f"{key.suite}; delete the one that does not belong to the run."
            )
        found[key] = row
    return found


def _aligned(before: Rows, after: Rows) -> tuple[Rows, Rows]:
    """Both sides with the hyper-parameters that methods have gained between them."""
    defaults: Defaults = {}
    for key, row in (*after.items(), *before.items()):  # the earlier default counts
        defaults[key.method] = {**defaults.get(key.method, {}), **row.defaults}
    first, second = (
        _once((key.with_defaults(defaults), row) for key, row in side.items())
        for side in (before, after)
    )
    return first, second


def compare(
    before: Rows,
    after: Rows,
    tolerance_of: Callable[[str], Gate],
    *,
    guards_all: bool = False,
) -> RunComparison:
    """Pair the rows of two sides and test each task of each.

    An accuracy moved if more images flipped than the suite's budget and either it changed by more
    than the suite's epsilon, in whatever direction, or McNemar's exact test (McNemar 1947, on the
    images that flipped) rejects at 5 % after Holm's adjustment over all changes.

    Args:
        before: the rows compared with.
        after: the rows compared.
        tolerance_of: what a suite, by "name@version", tolerates.
        guards_all: whether every row of a built-in method ought to be in `before`.

    Raises:
        TaskmarkError: if a row has not the same tasks, with as many images, on both sides.
    """
    before, after = _aligned(before, after)
    tolerances = {key.suite: tolerance_of(key.suite) for key in (*before, *after)}
    common = [key for key, row in before.items() if key in after and row.ok]
    paired = [
        (key, task, was, now)
        for key in common
        if after[key].ok
        for task, was, now in _pairs(key, before[key], after[key])
    ]
    flips = [(int(np.sum(was & ~now)), int(np.sum(~was & now))) for *_, was, now in paired]
    p_values = [_exact(lost, gained) for lost, gained in flips]
    adjusted = multipletests(p_values, method="holm")[1] if p_values else []
    changes = [
        _change(key, task, was, now, float(p), tolerances[key.suite])
        for (key, task, was, now), p in zip(paired, adjusted, strict=True)
    ]
    unknown = [key for key, row in after.items() if key not in before and row.built_in]
    return RunComparison(
        changes=tuple(changes),
        missing=tuple(key for key in before if key not in after),
        broken={key: after[key].reason for key in common if not after[key].ok},
        failed={k: r.reason for k, r in after.items() if not r.ok and k not in common},
        new=tuple(k for k, r in after.items() if r.ok and not (k in before and before[k].ok)),
        unguarded=tuple(unknown) if guards_all else (),
        tolerances=tolerances,
    )


def _pairs(
    key: RowIdentity, before: RowResult, after: RowResult
) -> Iterable[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    sizes = [{task: len(c) for task, c in row.correct.items()} for row in (before, after)]
    if sizes[0] != sizes[1]:
        differ = sorted(dict(sizes[0].items() ^ sizes[1].items()))
        raise TaskmarkError(
            f"The row {key.backbone} {key.recipe} {key.method} of {key.suite} has other images of "
            f"{', '.join(differ)} on the two sides; compare runs of one suite version."
        )
    return ((task, was, after.correct[task]) for task, was in before.correct.items())


def _change(
    key: RowIdentity,
    task: str,
    was: NDArray[np.bool_],
    now: NDArray[np.bool_],
    p_value: float,
    tolerance: Gate,
) -> TaskChange:
    lost, gained = int(np.sum(was & ~now)), int(np.sum(~was & now))
    absorbed = lost + gained <= tolerance.flips
    tests: dict[Ground, bool] = {
        "epsilon": abs(gained - lost) > tolerance.epsilon * len(was),
        "chance": p_value < LEVEL,
    }
    return TaskChange(
        row=key,
        task=task,
        n=len(was),
        before=int(was.sum()),
        after=int(now.sum()),
        lost=lost,
        gained=gained,
        p_value=p_value,
        grounds=() if absorbed else tuple(name for name, failed in tests.items() if failed),
        absorbed=absorbed,
    )


def _exact(lost: int, gained: int) -> float:
    if lost + gained == 0:
        return 1.0
    return float(mcnemar([[0, lost], [gained, 0]], exact=True).pvalue)
