"""Records become tables, figures and static pages; nothing here needs torch."""

from taskmark.records.files import read_records
from taskmark.reports.building import build
from taskmark.reports.terminal import terminal_findings, terminal_table

__all__ = ["build", "read_records", "terminal_findings", "terminal_table"]
