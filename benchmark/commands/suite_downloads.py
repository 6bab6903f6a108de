"""What a suite needs from the hub: its data sets and the weights of its backbones, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suite.provider import fetched, provider
from taskmark.suite.suite_file import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskmark.suite.suite_file import Suite


def data_sets(suite: str | None, names: Sequence[str]) -> list[str]:
    """The data sets that are named, and those of all tasks and controls of a suite.

    Raises:
        TaskmarkError: if there is no such suite, or nothing of it is fetched.
    """
    return _united(names, suite, lambda found: [*found.tasks, *found.controls])


def weights(suite: str | None, names: Sequence[str]) -> list[str]:
    """The weights that are named, and those of the backbones that a suite runs by default.

    Raises:
        TaskmarkError: if there is no such suite, or nothing of it is fetched.
    """
    return _united(
        names, suite, lambda s: [s.backbones[name].weights for name in s.default_backbones]
    )


def _united(
    names: Sequence[str], suite: str | None, needs: Callable[[Suite], Iterable[str]]
) -> list[str]:
    if suite is None:
        return list(names)
    found = load(suite)
    if fetched(provider(found.provider)) is None:
        raise TaskmarkError(
            f"The suite {found.name} brings its own data and weights; nothing of it is fetched."
        )
    return list(dict.fromkeys([*names, *needs(found)]))
