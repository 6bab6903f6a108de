"""Do a thing for each of many names, and go on with the others where one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.console import PlainConsole
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def for_each(names: Sequence[str], do: Callable[[str], None]) -> None:
    """Do it for all names in turn; failures are reported as they come, and again at the end.

    Raises:
        TaskmarkError: if it failed for any, after all were tried.
    """
    failures: dict[str, TaskmarkError] = {}
    for name in names:
        try:
            do(name)
        except TaskmarkError as error:
            if len(names) == 1:
                raise
            failures[name] = error
            PlainConsole(stderr=True).say(f"{name}: {error}")
    if failures:
        listed = "\n".join(f"{name}: {error}" for name, error in failures.items())
        n_done = len(names) - len(failures)
        raise TaskmarkError(f"{len(failures)} of {len(names)} failed, {n_done} are done.\n{listed}")
