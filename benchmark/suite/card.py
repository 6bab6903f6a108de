"""What a suite's card, a text in Markdown, says of one of the things it names."""

from __future__ import annotations

import re

_CELL = re.compile(r"(?<!\\)\|")
_ITEM = re.compile(r"- `(?P<name>[^`]+)`: (?P<text>.*)")


def said_of(card: str, name: str) -> tuple[tuple[str, str], ...]:
    """Gather what is said of a name, in the order of the text.

    That is the row of every table whose first cell is the name, in backticks, with the headings of
    the columns as terms; and every item of a list that begins with the name and a colon.

    Returns:
        (term, text) of each; the term of an item is empty.
    """
    found: list[tuple[str, str]] = []
    headings: list[str] = []
    lines = card.splitlines()
    for place, line in enumerate(lines):
        if not line.startswith("|"):
            headings = []
            item = _ITEM.fullmatch(line)
            if item and item["name"] == name:
                found.append(("", " ".join([item["text"], *_continued(lines[place + 1 :])])))
        elif not headings:
            headings = _cells(line)
        else:
            first, *cells = _cells(line)
            if first == f"`{name}`":
                found += zip(headings[1:], cells, strict=False)
    return tuple(found)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELL.split(line.strip().strip("|"))]


def _continued(lines: list[str]) -> list[str]:
    """The indented lines with which an item goes on."""
    found = []
    for line in lines:
        if not line.startswith("  ") or not line.strip():
            break
        found.append(line.strip())
    return found
