"""Data: the records as JSON, parquet and CSV, and the schema that they follow."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from taskmark.reports.site import addresses
from taskmark.reports.site.rendering import File, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.records.localisation_record import LocalisationRecord
    from taskmark.records.negation_record import NegationRecord
    from taskmark.reports.site.content import Content

MEANINGS = {
    "records": "one line a record and task",
    "disentanglement": "one line a pair of tasks and point of the grid",
    "negation": "one line a negated task, and one for each task that controls it",
    "localisation": "one line a backbone and pair of tasks",
    "findings": "the findings with every comparison, without rounding",
    "record": "the JSON Schema that a record follows",
}
"""What each table is, by the first part of its file's name."""

FORMATS = {
    ".csv": ", as comma-separated values",
    ".parquet": ", with its types",
}


def data_page(content: Content) -> Iterator[File]:
    """Render the page, and put the tables beside it so that the site is whole without them."""
    yield render(
        "data.html",
        addresses.DATA,
        content,
        tables=[
            (name, len(table), meaning(name)) for name, table in sorted(content.tables.items())
        ],
    )
    for name, table in content.tables.items():
        yield File(f"data/{name}", table)
    for edition in content.editions:
        metrics: tuple[DisentanglementRecord | NegationRecord | LocalisationRecord, ...]
        metrics = (*edition.maps, *edition.negation, *edition.localisation)
        for record in metrics:
            yield File(addresses.metric_json(record), (record.model_dump_json() + "\n").encode())


def meaning(name: str) -> str:
    """What a file of data is, in words."""
    return MEANINGS[name.partition(".")[0]] + FORMATS.get(PurePosixPath(name).suffix, "")
