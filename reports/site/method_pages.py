"""Methods: an index, and a page for each with its rows everywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskmark.reports import record_origin
from taskmark.reports.definitions import TRACKS
from taskmark.reports.site import addresses, docstrings
from taskmark.reports.site.board_pages import axis, shares_rank
from taskmark.reports.site.rendering import render
from taskmark.reports.site.row_costs import cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.plugins.submission import Submission
    from taskmark.records.catalogue import MethodEntry
    from taskmark.records.envelope import MethodFacts
    from taskmark.reports.board import Board
    from taskmark.reports.rows import Row
    from taskmark.reports.site.content import Content, Edition
    from taskmark.reports.site.rendering import File


@dataclass(frozen=True, slots=True)
class HyperParameterLine:
    """A hyper-parameter: what is said of it, and the values that records have, as JSON.

    `values` and `default` are empty where no catalogue says them.
    """

    name: str
    description: str
    values: str
    default: str
    found: tuple[str, ...]


def method_pages(content: Content) -> Iterator[File]:
    """Render the index and the page of every method."""
    newest = {name: _newest(rows) for name, rows in content.rows.items()}
    yield render("methods.html", addresses.METHODS, content, methods=newest, tracks=TRACKS)
    for name, rows in content.rows.items():
        entry = content.catalogue.methods.get(name)
        described = docstrings.taken_apart(entry.description) if entry else None
        yield render(
            "method.html",
            addresses.method(name),
            content,
            method=newest[name],
            about=entry,
            described=described,
            rows=rows,
            axis=axis([row for _, _, row in rows]),
            settings=_settings(
                [row for _, _, row in rows], entry, described.attributes if described else {}
            ),
            sources=_sources([row for _, _, row in rows]),
            submissions=_submissions(content, [row for _, _, row in rows]),
            tracks=TRACKS,
            cost=cost,
            shares_rank=shares_rank,
        )


def _newest(rows: list[tuple[Edition, Board, Row]]) -> MethodFacts:
    records = [record for _, _, row in rows for record in row.records]
    return max(records, key=lambda r: (r.provenance.created_at, r.record_id)).method


def _settings(
    rows: list[Row], entry: MethodEntry | None, descriptions: dict[str, str]
) -> list[HyperParameterLine]:
    """Hyper-parameters in the order of the catalogue, then those that records alone have."""
    found: dict[str, set[str]] = {}
    for row in rows:
        values: dict[str, Any] = row.method.hyperparameters
        for name, value in values.items():
            found.setdefault(name, set()).add(json.dumps(value, sort_keys=True))
    known = {parameter.name: parameter for parameter in entry.hyperparameters} if entry else {}
    return [
        HyperParameterLine(
            name=name,
            description=descriptions.get(name, ""),
            values=known[name].values if name in known else "",
            default=known[name].default if name in known else "",
            found=tuple(sorted(found.get(name, ()))),
        )
        for name in dict.fromkeys((*known, *found))
    ]


def _submissions(content: Content, rows: list[Row]) -> list[Submission]:
    """The submissions that rows of a method belong to, each once."""
    found: list[Submission] = []
    for row in rows:
        claim = content.claim(row)
        if claim and claim not in found:
            found.append(claim)
    return found


def _sources(rows: list[Row]) -> list[tuple[str, str]]:
    """The sources that made its records: hash of the source, and commits in words."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for record in row.records:
            found.setdefault(record.method.source_sha256, set()).add(record_origin.code(record))
    return [(source, "; ".join(sorted(commits))) for source, commits in sorted(found.items())]
