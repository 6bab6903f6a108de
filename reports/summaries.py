"""What a reader looks up about a suite: its findings, and how well its boards separate methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.records.frozen import Frozen
from taskmark.records.suite_facts import SuiteFacts
from taskmark.reports.evidence import Evidence
from taskmark.reports.findings import claims_of, findings
from taskmark.reports.stability import Power, power
from taskmark.reports.verdicts import PublishedFinding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.reports.board import Board


class Summary(Frozen):
    """The findings and the power of one edition of a suite."""

    suite: SuiteFacts
    findings: tuple[PublishedFinding, ...]
    power: Power


class Summaries(Frozen):
    """One summary an edition; the content of `findings.json`."""

    summaries: tuple[Summary, ...]


def summaries(boards: Sequence[Board], maps: Sequence[DisentanglementRecord]) -> Summaries:
    """Summarise every edition of a suite that has a board; no two editions are compared."""
    editions = {board.suite.sha256: board.suite for board in boards}
    found = []
    for sha256, suite in editions.items():
        of_suite: dict[str, Board] = {}
        for board in boards:  # of a backbone with several sets of tasks, the largest comes first
            if board.suite.sha256 == sha256:
                of_suite.setdefault(board.backbone, board)
        evidence = Evidence(of_suite.values(), [m for m in maps if m.suite.sha256 == sha256])
        found.append(
            Summary(
                suite=suite,
                findings=findings(evidence, claims_of(suite.name)),
                power=power(list(of_suite.values())),
            )
        )
    return Summaries(summaries=tuple(found))


def json_bytes(found: Summaries) -> bytes:
    """Write them as JSON, without rounding."""
    return (found.model_dump_json(indent=1) + "\n").encode()
