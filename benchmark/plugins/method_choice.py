"""A method with the hyper-parameters that a user, a suite or a paper chose."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskmark.errors import TaskmarkError

GROUPS = {
    "core": "the named five, their controls, TSV-M and Iso-C",
    "weights": "methods that see nothing but weights",
    "unlabelled": "methods that see images without labels, too",
    "labelled": "methods that see labels, too",
    "all": "all methods",
}
"""Groups of methods that a run can name in place of methods; references are always run."""

_OUTER_COMMA = re.compile(r",(?![^\[(]*[\])])")  # separates fields, not the items of a list


@functools.cache
def core_methods() -> frozenset[str]:
    """The names of the methods of the group `core`, from `groups.toml` in their folder."""
    found = importlib.util.find_spec("taskmark.methods")
    folders = found.submodule_search_locations if found else None
    if not folders:
        return frozenset()
    return frozenset(tomllib.loads((Path(folders[0]) / "groups.toml").read_text("utf-8"))["core"])


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method with its hyper-parameters, as a user or a suite chose it."""

    name: str
    hyperparameters: tuple[tuple[str, Any], ...] = ()

    @property
    def is_group(self) -> bool:
        """Whether it names a group of methods, such as `core`."""
        return self.name in GROUPS

    @classmethod
    def of(cls, name: str, fields: dict[str, Any]) -> MethodChoice:
        """A choice from values of JSON or TOML, whose lists become tuples."""
        return cls(name, tuple(sorted((key, _hashable(value)) for key, value in fields.items())))

    @classmethod
    def parse(cls, text: str) -> MethodChoice:
        """Read `name` or `name[field=value, ...]`; the name of a group takes no fields.

        Raises:
            TaskmarkError: if the text has another form.
        """
        matched = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", text)
        if matched is None:
            raise TaskmarkError(
                f"The method {text!r} cannot be read; "
                "write a name, or a name with fields such as ties[density=0.1]."
            )
        pairs = [pair for pair in _OUTER_COMMA.split(matched[2] or "") if pair.strip()]
        if pairs and matched[1] in GROUPS:
            raise TaskmarkError(
                f"{matched[1]!r} is a group of methods and takes no fields; name a method in place "
                f"of it, as {text!r} with the method's name."
            )
        return cls(matched[1], tuple(_field(text, pair) for pair in pairs))


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _field(text: str, pair: str) -> tuple[str, Any]:
    name, equals, value = (piece.strip() for piece in pair.partition("="))
    if not (name and equals and value):
        raise TaskmarkError(
            f"The field {pair.strip()!r} of {text!r} cannot be read; write field=value."
        )
    try:
        literal = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
    return name, tuple(literal) if isinstance(literal, list) else literal
