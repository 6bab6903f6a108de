"""Records become tables, figures and static pages; nothing here needs torch."""

from taskmark.records.record_files import read_records
from taskmark.reports.building import build
from taskmark.reports.terminal import KEY_COLUMNS, terminal_findings, terminal_table

__all__ = ["KEY_COLUMNS", "build", "read_records", "terminal_findings", "terminal_table"]
