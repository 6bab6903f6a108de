"""All pages of the site, from all that was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.reports.site.about_page import about_page
from taskmark.reports.site.backbone_pages import backbone_pages
from taskmark.reports.site.board_pages import board_pages
from taskmark.reports.site.data_page import data_page
from taskmark.reports.site.disentanglement_pages import disentanglement_pages
from taskmark.reports.site.findings_pages import findings_pages
from taskmark.reports.site.method_pages import method_pages
from taskmark.reports.site.overview_pages import overview_pages
from taskmark.reports.site.plot_pages import plot_pages
from taskmark.reports.site.record_pages import record_pages
from taskmark.reports.site.rendering import assets
from taskmark.reports.site.task_pages import task_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmark.reports.site.content import Content
    from taskmark.reports.site.rendering import File

KINDS: tuple[Callable[[Content], Iterator[File]], ...] = (
    overview_pages,
    board_pages,
    plot_pages,
    findings_pages,
    disentanglement_pages,
    method_pages,
    task_pages,
    backbone_pages,
    record_pages,
    data_page,
    about_page,
)
"""One kind of page is one function here, in a module of its own, and one template."""


def site_files(content: Content) -> Iterator[File]:
    """Yield every file of the site."""
    yield from assets()
    for kind in KINDS:
        yield from kind(content)
