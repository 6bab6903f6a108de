"""Templates become pages; everything from outside is escaped, and links are relative."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import jinja2

from taskmark.reports.definitions import CLAIMS
from taskmark.reports.site import addresses, finding_formats, number_formats

if TYPE_CHECKING:
    from taskmark.reports.site.content import Content

ASSETS = ("site.css", "site.js")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the site and its path within it."""

    path: str
    content: bytes


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("taskmark.reports", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["slug"] = addresses.slug
    environment.filters.update(**number_formats.FILTERS, **finding_formats.FILTERS)
    environment.globals.update(address=addresses, measure=number_formats.measure, claims=CLAIMS)
    return environment


def render(template: str, path: str, content: Content, **values: Any) -> File:
    """Render a page.

    Args:
        template: its name.
        path: where the page will lie.
        content: all there is, for the navigation.
        **values: what the template shows. `edition`, if there is one, is where the navigation
            stands.
    """
    link = partial(addresses.relative, page=path)
    edition = values.pop("edition", None) or next(iter(content.editions), None)
    text = (
        _environment()
        .get_template(template)
        .render(path=path, link=link, content=content, edition=edition, **values)
    )
    return File(path, text.encode())


def assets() -> list[File]:
    """The style sheet and the script that all pages share."""
    return [File(name, _environment().get_template(name).render().encode()) for name in ASSETS]
