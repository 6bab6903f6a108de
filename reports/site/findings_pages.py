"""Findings: what the literature claims of an edition, and whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.reports import stability
from taskmark.reports.definitions import paragraphs
from taskmark.reports.site import addresses
from taskmark.reports.site.rendering import render
from taskmark.reports.verdicts import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.reports.site.content import Content
    from taskmark.reports.site.rendering import File


def findings_pages(content: Content) -> Iterator[File]:
    """Render the findings of every edition that has boards."""
    for edition in content.editions:
        if edition.summary:
            yield render(
                "findings.html",
                addresses.findings(edition),
                content,
                edition=edition,
                summary=edition.summary,
                stable=stability.STABLE_CORRELATION,
                power_definition=paragraphs(stability.power),
                verdicts=VERDICTS,
            )
