"""What a suite needs from the hub: its data sets and the weights of its backbones, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.definitions.suite import load
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.definitions.suite import Suite

_PROVIDER = "taskmark.suites.real.provider"


def data_sets(suite: str | None, names: Sequence[str]) -> list[str]:
    """The data sets that are named, and those of all tasks and controls of a suite.

    Raises:
        TaskmarkError: if there is no such suite, or nothing of it is fetched.
    """
    if suite is None:
        return list(names)
    found = _fetched(suite)
    return list(dict.fromkeys([*names, *found.tasks, *found.controls]))


def weights(suite: str | None, names: Sequence[str]) -> list[str]:
    """The weights that are named, and those of the backbones that a suite runs unless told.

    Raises:
        TaskmarkError: if there is no such suite, or nothing of it is fetched.
    """
    if suite is None:
        return list(names)
    found = _fetched(suite)
    own = [found.backbones[name].weights for name in found.default_backbones]
    return list(dict.fromkeys([*names, *own]))


def _fetched(name: str) -> Suite:
    suite = load(name)
    if suite.provider != _PROVIDER:
        raise TaskmarkError(
            f"The suite {suite.name} brings its own data and weights; nothing of it is fetched."
        )
    return suite
