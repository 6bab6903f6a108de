"""The public conformance tests of a method: does a class keep the contract?"""

from __future__ import annotations

from taskmark.conformance.checks import CHECKS, check_method, findings, run_check
from taskmark.conformance.edge_cases import parametrize_checks
from taskmark.conformance.finding import Finding
from taskmark.conformance.miniature import miniature

__all__ = [
    "CHECKS",
    "Finding",
    "check_method",
    "findings",
    "miniature",
    "parametrize_checks",
    "run_check",
]
