"""BibTeX of the methods in a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.reports.rows import Row


@dataclass(frozen=True, slots=True)
class Citation:
    """An entry and the methods that it is for."""

    bibtex: str
    methods: tuple[str, ...]


def entries(rows: Iterable[Row]) -> tuple[Citation, ...]:
    """Every entry once, in the order of the names of its methods."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.method.bibtex:
            found.setdefault(row.method.bibtex, set()).add(row.method.name)
    listed = (Citation(bibtex, tuple(sorted(methods))) for bibtex, methods in found.items())
    return tuple(sorted(listed, key=lambda citation: citation.methods))
