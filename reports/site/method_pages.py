"""Methods: an index, and a page for each with its rows everywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskmark.reports import provenance
from taskmark.reports.definitions import TRACKS
from taskmark.reports.site import addresses
from taskmark.reports.site.board_pages import axis, shares_rank
from taskmark.reports.site.costs import cost
from taskmark.reports.site.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.record import MethodFacts
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row
    from taskmark.reports.site.content import Content, Edition
    from taskmark.reports.site.rendering import File


def method_pages(content: Content) -> Iterator[File]:
    """Render the index and the page of every method."""
    newest = {name: _newest(rows) for name, rows in content.rows.items()}
    yield render("methods.html", addresses.METHODS, content, methods=newest, tracks=TRACKS)
    for name, rows in content.rows.items():
        yield render(
            "method.html",
            addresses.method(name),
            content,
            method=newest[name],
            rows=rows,
            axis=axis([row for _, _, row in rows]),
            settings=_settings([row for _, _, row in rows]),
            sources=_sources([row for _, _, row in rows]),
            tracks=TRACKS,
            cost=cost,
            shares_rank=shares_rank,
        )


def _newest(rows: list[tuple[Edition, Board, Row]]) -> MethodFacts:
    records = [record for _, _, row in rows for record in row.records]
    return max(records, key=lambda r: (r.provenance.created_at, r.record_id)).method


def _settings(rows: list[Row]) -> list[tuple[str, list[str]]]:
    """Hyper-parameters with the values that records have, as JSON."""
    found: dict[str, set[str]] = {}
    for row in rows:
        values: dict[str, Any] = row.method.hyperparameters
        for name, value in values.items():
            found.setdefault(name, set()).add(json.dumps(value, sort_keys=True))
    return [(name, sorted(values)) for name, values in found.items()]


def _sources(rows: list[Row]) -> list[tuple[str, str]]:
    """The sources that made its records: hash of the source, and commits in words."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for record in row.records:
            found.setdefault(record.method.source_sha256, set()).add(provenance.code(record))
    return [(source, "; ".join(sorted(commits))) for source, commits in sorted(found.items())]
