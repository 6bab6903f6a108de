"""Reproducing: run the rows of a submission again, and say whether they came out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.gate.compare import RunComparison, compare, rows_of
from taskmark.plugins.method_choice import MethodChoice
from taskmark.plugins.submission import Reproduction, Submission
from taskmark.suite.suite_file import gate_of, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.config import RunConfig
    from taskmark.records.identity import RowIdentity
    from taskmark.records.record import Record


def plan_rerun(submission: Submission, records: Sequence[Record], config: RunConfig) -> RunConfig:
    """What to run, where and how `config` says, so that every row of a submission is made again.

    Raises:
        TaskmarkError: if this taskmark has another version of the suite.
    """
    facts = submission.suite
    if load(facts.label).sha256 != facts.sha256:
        raise TaskmarkError(
            f"The submission of {submission.method!r} is of another {facts.label} than this "
            "taskmark ships; install the one that its records name in provenance.commit."
        )
    choices = (
        MethodChoice.of(submission.method, record.method.hyperparameters) for record in records
    )
    return config.model_copy(
        update={
            "suite": facts.label,
            "backbones": tuple(dict.fromkeys(record.backbone for record in records)),
            "methods": tuple(dict.fromkeys(choices)),
            "recipes": tuple(dict.fromkeys(record.recipe for record in records)),
            "seeds": tuple(dict.fromkeys(record.seeds.expert for record in records)),
        }
    )


def compare_with_claim(claimed: Sequence[Record], found: Sequence[Record]) -> RunComparison:
    """Compare the rows of a submission with those that a new run made of them."""
    return compare(rows_of(claimed), rows_of(found), gate_of)


def reproduction(comparison: RunComparison, found: Sequence[Record]) -> Reproduction:
    """What a comparison says of a submission."""
    differences = [
        f"{_words(change.row)}, {change.task}: {change.before / change.n:.1%} claimed, "
        f"{change.after / change.n:.1%} found ({change.lost} lost, {change.gained} gained)"
        for change in comparison.changed_tasks
    ]
    differences += [f"{_words(key)}: {reason}" for key, reason in comparison.broken.items()]
    differences += [f"{_words(key)}: not found" for key in comparison.missing]
    provenance = found[0].provenance
    return Reproduction(
        created_at=max(record.provenance.created_at for record in found),
        commit=provenance.commit,
        device=provenance.device,
        differences=tuple(differences),
    )


def _words(row: RowIdentity) -> str:
    return f"{row.backbone} {row.recipe} {row.method}"
