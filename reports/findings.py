"""The findings of papers that a suite is asked for: what each claims, and whether it holds here."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from taskmark.reports.comparisons import (
    Backbones,
    Comparison,
    ErrorsAgainstControl,
    ErrorsOfRecipes,
    Methods,
)
from taskmark.reports.verdicts import PublishedFinding, together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.reports.evidence import Evidence

_KINDS: dict[str, type[Comparison]] = {
    "backbones": Backbones,
    "errors_against_control": ErrorsAgainstControl,
    "errors_of_recipes": ErrorsOfRecipes,
    "methods": Methods,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding as the literature has it, with the comparisons that decide it here.

    Attributes:
        statement: the finding in plain words.
        definition: for what it is claimed, and what a reader should know of the comparison.
        comparisons: what it asks for; all that decide must hold.
    """

    statement: str
    definition: str
    comparisons: tuple[Comparison, ...]


def claims_of(suite: str) -> tuple[Claim, ...]:
    """Read the claims of a suite from `findings.toml` in its folder; none where there is no such.

    Args:
        suite: its name, without the version.
    """
    folders = {folder.name: folder for folder in files("taskmark.suites").iterdir()}
    folder = folders.get(suite.replace("-", "_"))  # as a package is called
    file = None if folder is None else folder / "findings.toml"
    if file is None or not file.is_file():
        return ()
    return tuple(
        Claim(
            found["statement"], found["definition"], tuple(map(_comparison, found["comparisons"]))
        )
        for found in tomllib.loads(file.read_text("utf-8"))["findings"]
    )


def _comparison(found: dict[str, Any]) -> Comparison:
    kind = _KINDS[found.pop("kind")]
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in found.items()})


def findings(evidence: Evidence, claims: Iterable[Claim]) -> tuple[PublishedFinding, ...]:
    """Judge every claim by the records of one suite; nothing here depends on what comes out."""
    found = []
    for number, claim in enumerate(claims, start=1):
        parts = tuple(comparison.part(evidence) for comparison in claim.comparisons)
        found.append(
            PublishedFinding(
                number=number,
                statement=claim.statement,
                definition=claim.definition,
                verdict=together(part.verdict for part in parts if part.decides),
                parts=parts,
            )
        )
    return tuple(found)
