"""Conformance vectors: small inputs with the outputs that each name of a method stands for."""

from __future__ import annotations

import importlib.resources
import inspect
import json
from typing import TYPE_CHECKING, Any

from taskmark.plugins import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "README.md"
MARK = "<!-- From here on made by `python -m taskmark.methods.vectors.page`. -->\n"


def vectors() -> Iterator[tuple[str, dict[str, Any]]]:
    """All vectors, as the name of the file and its content; the page says what the fields are."""
    folder = importlib.resources.files(__name__)
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            yield entry.name, json.loads(entry.read_text("utf-8"))


def page() -> str:
    """The page as it should be: what was written by hand, and the definitions of all methods."""
    written = importlib.resources.files(__name__).joinpath(PAGE).read_text("utf-8")
    return written.partition(MARK)[0] + MARK + definitions()


def definitions() -> str:
    """How each built-in method is defined, in the words of its class, in Markdown."""
    files: dict[str, list[str]] = {}
    for name, case in vectors():
        files.setdefault(case["method"], []).append(f"[{name}]({name})")
    parts = []
    for found in sorted(registry.built_in(), key=lambda found: found.method.name):
        method = found.method
        facts = [f"Track: {method.track}."]
        facts += [f"Paper: <{method.paper}>."] if method.paper else []
        facts += [f"Vectors: {', '.join(files[method.name])}."] if method.name in files else []
        words = inspect.cleandoc(method.__doc__ or "")
        parts.append(f"\n### {method.name}\n\n{' '.join(facts)}\n\n```text\n{words}\n```\n")
    return "".join(parts)
