"""The negation records of an output folder, and the line that a terminal shows of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taskmark.records.metric_files import read_newest
from taskmark.records.negation_record import NegationRecord

if TYPE_CHECKING:
    from pathlib import Path

    from taskmark.records.negation_record import MeanAccuracy


def read_negation(out: Path) -> list[NegationRecord]:
    """Read `out/negation/*.json`, of each suite, backbone, recipe, seed and method the newest.

    Raises:
        TaskmarkError: if a file is not a record or is not what its id says.
    """
    return read_newest(
        out,
        "negation",
        NegationRecord,
        lambda record: (
            record.backbone,
            record.recipe,
            record.expert_seed,
            record.heads,
            json.dumps([record.method.name, record.method.hyperparameters], sort_keys=True)
            if record.method
            else "",
        ),
    )


def line(record: NegationRecord) -> str:
    """What a record found: means over tasks in %, before and after, with 95 % intervals."""
    targets = [task.target.pretrained_accuracy for task in record.tasks]
    controls = {c.task: c.pretrained_accuracy for task in record.tasks for c in task.controls}
    by = f", {record.method.name}" if record.method else ""
    return (
        f"Negation, {record.backbone}, {record.recipe}{by}: "
        f"targets {_change(targets, record.target)}, "
        f"controls {_change(list(controls.values()), record.control)}"
    )


def _change(before: list[float], after: MeanAccuracy) -> str:
    interval = f"[{100 * after.low:.1f}, {100 * after.high:.1f}]"
    return f"{100 * sum(before) / len(before):.1f} -> {100 * after.accuracy:.1f} {interval}"
