"""Disentanglement: maps side by side on one colour scale, negation, and localisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.localisation_record import LocalisationEstimate, LocalisationRecord
from taskmark.records.negation_record import NegationRecord
from taskmark.reports import figures
from taskmark.reports.definitions import paragraphs
from taskmark.reports.plot_data import largest_error
from taskmark.reports.site import addresses
from taskmark.reports.site.number_formats import mean_of
from taskmark.reports.site.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.reports.site.content import Content, Edition, MapView
    from taskmark.reports.site.rendering import File


@dataclass(frozen=True, slots=True)
class Pictured:
    """A map, and the records of the same with other seeds."""

    view: MapView
    others: tuple[DisentanglementRecord, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """Mean accuracies of the pre-trained model, on the negated tasks and on the controls."""

    target: float | None
    control: float | None


def disentanglement_pages(content: Content) -> Iterator[File]:
    """Render the page of every edition that has such records."""
    for edition in content.editions:
        if edition.maps or edition.negation or edition.localisation:
            yield render(
                "disentanglement.html",
                addresses.disentanglement(edition),
                content,
                edition=edition,
                maps=side_by_side(edition),
                colour_scale=figures.colour_scale(largest_error(edition.maps)),
                before=before,
                about_maps=paragraphs(DisentanglementRecord),
                about_negation=paragraphs(NegationRecord),
                about_localisation=(
                    *paragraphs(LocalisationRecord),
                    *paragraphs(LocalisationEstimate),
                ),
            )


def side_by_side(edition: Edition) -> dict[str, list[Pictured]]:
    """The maps by backbone, one a recipe; of several seeds the first is pictured."""
    found: dict[str, dict[str, list[MapView]]] = {}
    for view in edition.map_views:
        of_backbone = found.setdefault(view.record.backbone, {})
        of_backbone.setdefault(view.record.recipe, []).append(view)
    return {
        backbone: [
            Pictured(views[0], tuple(view.record for view in views[1:]))
            for views in of_backbone.values()
        ]
        for backbone, of_backbone in found.items()
    }


def before(record: NegationRecord) -> Before:
    """What a record compares with."""
    controls = {c.task: c.pretrained_accuracy for task in record.tasks for c in task.controls}
    return Before(
        target=mean_of(task.target.pretrained_accuracy for task in record.tasks),
        control=mean_of(controls.values()),
    )
