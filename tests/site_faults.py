"""What is wrong with the pages of a site on disk: links, fragments, identities, open elements."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from pathlib import Path

EMPTY = {"br", "col", "hr", "img", "input", "link", "meta", "wbr"}


class Page(HTMLParser):
    """A page's links and identities, and the elements that are closed in another order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.crossed = [], [], []
        self._open = []
        self.feed(text)
        self.crossed += self._open

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        attributes = dict(attrs)
        # Figures repeat the names of their own parts.
        if "id" in attributes and tag not in {"path", "clippath"}:
            self.ids.append(attributes["id"])
        self.links += [attributes[n] for n in ("href", "src") if tag != "use" and n in attributes]

    def handle_endtag(self, tag):
        if tag in EMPTY:
            return
        if not self._open or self._open.pop() != tag:
            self.crossed.append(tag)


def faults(site: Path):
    """All faults of all pages, as (page, what)."""
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        found += [
            (path.name, f"twice {name}") for name in set(page.ids) if page.ids.count(name) > 1
        ]
        found += [(path.name, f"crossed {tag}") for tag in page.crossed]
        for link in page.links:
            if re.match(r"(https?|data):", link):
                continue
            place, _, fragment = link.partition("#")
            target = (path.parent / unquote(place)).resolve() if place else path
            if not target.exists():
                found.append((path.name, f"dead {link}"))
            elif fragment and target in pages and fragment not in pages[target].ids:
                found.append((path.name, f"no {link}"))
    return found
