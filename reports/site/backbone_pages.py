"""Backbones: a card each, with its experts, disentanglement, negation and localisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.reports.scores import EXPERTS
from taskmark.reports.site import addresses
from taskmark.reports.site.disentanglement_pages import before
from taskmark.reports.site.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.reports.site.content import Content
    from taskmark.reports.site.rendering import File

PRETRAINED = "pretrained"
"""Name of the reference row of the model before any editing."""


def backbone_pages(content: Content) -> Iterator[File]:
    """Render every backbone of every edition."""
    for edition in content.editions:
        for backbone in edition.backbones:
            boards = edition.boards_of(backbone)
            references = boards[0].references if boards else ()
            yield render(
                "backbone.html",
                addresses.backbone(edition, backbone),
                content,
                edition=edition,
                backbone=backbone,
                about=content.catalogue.backbone(edition.suite, backbone),
                boards=boards,
                references=[row for row in references if row.method.name in (EXPERTS, PRETRAINED)],
                maps=[view for view in edition.map_views if view.record.backbone == backbone],
                negation=[r for r in edition.negation if r.backbone == backbone],
                localisation=[r for r in edition.localisation if r.backbone == backbone],
                before=before,
            )
