"""Docstrings become HTML: paragraphs, lists, formulas, and what is said of each attribute."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from taskmark.reports.site.number_formats import code, mathematics

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADING = re.compile(r"([A-Z][A-Za-z ]{0,40}):")
_BULLET = re.compile(r"[-*] (.*)")
_NUMBER = re.compile(r"\d+[.)] (.*)")
_NAMED = re.compile(r"(\w+)(?: \([^)]*\))?: ?(.*)")
_ATTRIBUTES = "Attributes:"


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring taken apart.

    Attributes:
        body: all but its first paragraph and what it says of attributes, as HTML.
        attributes: what it says of each attribute, as text.
    """

    body: Markup
    attributes: dict[str, str]


def taken_apart(text: str) -> Docstring:
    """Take a docstring apart; all of its text is escaped."""
    body, attributes = [], {}
    _, *blocks = _blocks(inspect.cleandoc(text)) or [""]
    for block in blocks:
        first, _, rest = block.partition("\n")
        if first == _ATTRIBUTES:
            attributes.update(_named(rest))
        else:
            body.append(_html(block))
    return Docstring(Markup("\n").join(body), attributes)


def _blocks(text: str) -> list[str]:
    """What blank lines part; what is indented below a heading stays with it."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        if found and found[-1].startswith(_ATTRIBUTES) and block.startswith(" "):
            found[-1] += f"\n{block}"
        else:
            found.append(block)
    return found


def _html(block: str) -> Markup:
    lines = block.splitlines()
    heading = _HEADING.fullmatch(lines[0])
    if heading:
        rest = textwrap.dedent("\n".join(lines[1:]))
        return Markup("<h3>{}</h3>").format(heading[1]) + (_html(rest) if rest else Markup())
    if all(line.startswith("    ") for line in lines):
        return Markup('<pre tabindex="0">{}</pre>').format(mathematics(textwrap.dedent(block)))
    for marker, tag in ((_BULLET, "ul"), (_NUMBER, "ol")):
        if marker.match(lines[0]):
            items = Markup().join(
                Markup("<li>{}</li>").format(code(item)) for item in _items(lines, marker)
            )
            return Markup("<{0}>{1}</{0}>").format(tag, items)
    return Markup("<p>{}</p>").format(code(" ".join(line.strip() for line in lines)))


def _items(lines: list[str], marker: re.Pattern[str]) -> Iterator[str]:
    """The items of a list, each in one line."""
    item = ""
    for line in lines:
        begun = marker.match(line)
        if begun and item:
            yield item
        item = begun[1] if begun else f"{item} {line.strip()}"
    yield item


def _named(text: str) -> dict[str, str]:
    """Name -> text of a section of attributes, whose texts go on in deeper lines."""
    found: dict[str, str] = {}
    name = ""
    for line in textwrap.dedent(text).splitlines():
        begun = None if line.startswith(" ") else _NAMED.fullmatch(line)
        if begun:
            name, found[begun[1]] = begun[1], begun[2]
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
