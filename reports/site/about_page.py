"""About the numbers: definitions, tracks, recipes and environments, in the words of the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.reports import record_origin
from taskmark.reports.definitions import definitions
from taskmark.reports.site import addresses
from taskmark.reports.site.rendering import render
from taskmark.statistics.coverage import least, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.reports.site.content import Content
    from taskmark.reports.site.rendering import File


def about_page(content: Content) -> Iterator[File]:
    """Render the page."""
    lines = read_table()
    yield render(
        "about.html",
        addresses.ABOUT,
        content,
        definitions=definitions(),
        coverage=lines,
        least_coverage=least(lines, few_items=False),
        least_in_corners=least(lines, few_items=True),
        environments=record_origin.environments(content.records),
    )
