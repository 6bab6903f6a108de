"""Suites that extend another: what they say is laid over all that their base says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from taskmark.errors import TaskmarkError, unknown
from taskmark.records.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Extension(Frozen):
    """The part of a suite file that says what it extends.

    Attributes:
        extends: the stem of a shipped suite's file, or the path of a TOML file, read from the
            folder of the file that says so.
        only: the base's tasks that are kept; all of them where it is left out.
    """

    extends: str
    only: Annotated[tuple[str, ...], Field(min_length=1)] | None = None

    def base(self, path: Path, shipped: Mapping[str, Path]) -> Path:
        """The file that is extended.

        Args:
            path: the file that extends.
            shipped: the files of the shipped suites by their stems.

        Raises:
            TaskmarkError: if there is no such file.
        """
        if not self.extends.endswith(".toml"):
            if self.extends not in shipped:
                raise unknown(f"suite that {path.name} could extend as", self.extends, shipped)
            return shipped[self.extends]
        base = path.parent / self.extends
        if not base.is_file():
            raise TaskmarkError(
                f"The suite file {str(path)!r} extends {self.extends!r}, but there is no file "
                f"{str(base)!r}; give the path from the folder of the file that extends."
            )
        return base

    def check(self, path: Path, tasks: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
        """Check that every task named is one that the base has and that is kept.

        Args:
            path: the file that extends.
            tasks: the base's, by name.
            changed: what the file says of tasks, by name.

        Raises:
            TaskmarkError: if it is not.
        """
        for task in (*(self.only or ()), *changed):
            if task not in tasks:
                raise unknown(f"task of {self.extends} that {path.name} could name", task, tasks)
        for task in changed:
            if self.only and task not in self.only:
                raise unknown(f"task in the `only` of {path.name} to change as", task, self.only)


def laid_over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes: tables are merged, all other values replaced."""
    merged = dict(base)
    for name, value in changes.items():
        below = base.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[name] = laid_over(below, value)
        else:
            merged[name] = value
    return merged


def differences(changes: Mapping[str, Any], table: str = "") -> Iterator[str]:
    """What changes say, one "table.name = value" each."""
    for name, value in changes.items():
        if isinstance(value, dict):
            yield from differences(value, f"{table}{name}.")
        else:
            yield f"{table}{name} = {json.dumps(value, default=str)}"
