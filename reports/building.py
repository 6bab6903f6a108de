"""From a folder of records to everything that is derived from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskmark.plugins.submission import read_submissions
from taskmark.records.catalogue import read_catalogue
from taskmark.records.disentanglement_record import DisentanglementRecord
from taskmark.records.localisation_record import LocalisationRecord
from taskmark.records.negation_record import NegationRecord
from taskmark.records.record_files import read_kind, read_records
from taskmark.reports import metric_tables, tables
from taskmark.reports.board import boards, normalise_records
from taskmark.reports.site.assembling import site_files
from taskmark.reports.site.content import Content, editions
from taskmark.reports.summaries import json_bytes, summaries
from taskmark.reports.writing import replace_all, write

if TYPE_CHECKING:
    from pathlib import Path


FINDINGS = "findings.json"
"""Name of the file with the findings, in the output folder."""


def build(out: Path, *, submissions: Path | None = None, notice: str = "") -> Path:
    """Write the tables, the JSON Schema, the findings and the site of the records in a folder.

    The same records give the same bytes. Every file is replaced as a whole; what an earlier build
    made in the site, and this one does not, is deleted.

    Args:
        out: folder with `records/*.json`, `disentanglement/*.json`, `negation/*.json`,
            `localisation/*.json` and `catalogue/`, of which any may be missing.
        submissions: folder of submissions to show on the boards too, with their states.
        notice: a sentence for the top of every page, such as that they are partial.

    Returns:
        The path of the home page, `out/site/index.html`.

    Raises:
        TaskmarkError: if a record is not to be trusted or a file cannot be written.
    """
    content = replace(read_content(out, submissions=submissions), notice=notice)
    for name, table in content.tables.items():
        write(out / name, table)
    site = out / "site"
    replace_all(site, {file.path: file.content for file in site_files(content)})
    return site / "index.html"


def read_content(out: Path, *, submissions: Path | None = None) -> Content:
    """Read the records of a folder and derive all that the pages are made from.

    Args:
        out: see `build`.
        submissions: see `build`.

    Raises:
        TaskmarkError: if a record is not to be trusted, or the catalogue cannot be read.
    """
    submitted = read_submissions(submissions) if submissions else []
    records = read_records(out, [record for _, own in submitted for record in own])
    maps = read_kind(out, DisentanglementRecord)
    negation = read_kind(out, NegationRecord)
    localisation = read_kind(out, LocalisationRecord)
    ranked = boards(records)
    found = summaries(ranked, maps)
    frames = {
        "records": tables.records_frame(records, normalise_records(ranked)),
        "disentanglement": tables.disentanglement_frame(maps),
        "negation": metric_tables.negation_frame(negation),
        "localisation": metric_tables.localisation_frame(localisation),
    }
    data = {f"{name}.csv": tables.csv_bytes(frame) for name, frame in frames.items()}
    data |= {f"{name}.parquet": tables.parquet_bytes(frame) for name, frame in frames.items()}
    data |= {"record.schema.json": tables.schema_bytes(), FINDINGS: json_bytes(found)}
    listed = editions(ranked, maps, found, negation, localisation)
    claims = {record.record_id: submission for submission, own in submitted for record in own}
    return Content(listed, data, read_catalogue(out), claims)
