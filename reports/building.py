"""From a folder of records to everything that is derived from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.reports import pages, tables
from taskmark.reports.board import boards
from taskmark.reports.reading import read_disentanglement, read_records
from taskmark.reports.summaries import json_bytes, summaries
from taskmark.reports.writing import write

if TYPE_CHECKING:
    from pathlib import Path


FINDINGS = "findings.json"
"""Name of the file with the findings, in the output folder."""


def build(out: Path) -> Path:
    """Write the tables, the JSON Schema, the findings and the page of the records in a folder.

    The same records give the same bytes. Every file is replaced as a whole.

    Args:
        out: folder with `records/*.json` and `disentanglement/*.json`.

    Returns:
        The path of the page, `out/site/index.html`.

    Raises:
        TaskmarkError: if a record is not to be trusted or a file cannot be written.
    """
    records, maps = read_records(out), read_disentanglement(out)
    frame = tables.records_frame(records)
    ranked = boards(records)
    found = summaries(ranked, maps)
    page = out / "site" / "index.html"
    contents = {
        out / "records.parquet": tables.parquet_bytes(frame),
        out / "records.csv": tables.csv_bytes(frame),
        out / "disentanglement.csv": tables.csv_bytes(tables.disentanglement_frame(maps)),
        out / "record.schema.json": tables.schema_bytes(),
        out / FINDINGS: json_bytes(found),
        page: pages.render(ranked, maps, found).encode(),
    }
    for path, content in contents.items():
        write(path, content)
    return page
