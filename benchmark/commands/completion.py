"""What a shell completes: the names of suites and of what they have, of methods and recipes."""

# ruff: noqa: TC002 - typer reads annotations

from __future__ import annotations

from typing import TYPE_CHECKING

from typer import Context

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskmark.suite.suite_file import Suite


def complete_methods(incomplete: str) -> list[str]:
    """Methods, with what the index says of them."""
    return _beginning(_methods(), incomplete)


def complete_suites(incomplete: str) -> list[str]:
    """Suites that are shipped."""
    return _beginning(_suites(), incomplete)


def complete_shown(incomplete: str) -> list[str]:
    """What can be shown: methods and suites."""
    return _beginning([*_methods(), *_suites()], incomplete)


def complete_kinds(incomplete: str) -> list[str]:
    """What can be listed."""
    from taskmark.commands.listing import KINDS  # noqa: PLC0415

    return _beginning(KINDS, incomplete)


def complete_recipes(incomplete: str) -> list[str]:
    """Recipes."""
    from taskmark.contract.recipe import RECIPES  # noqa: PLC0415

    return _beginning(RECIPES, incomplete)


def complete_backbones(context: Context, incomplete: str) -> list[str]:
    """Backbones of the suite that the command line names."""
    return _beginning((n for s in _chosen(context) for n in ("all", *s.backbones)), incomplete)


def complete_tasks(context: Context, incomplete: str) -> list[str]:
    """Tasks of the suite that the command line names."""
    return _beginning((name for suite in _chosen(context) for name in suite.tasks), incomplete)


def complete_devices(incomplete: str) -> list[str]:
    """Kinds of devices."""
    from taskmark.machine.devices import KINDS  # noqa: PLC0415

    return _beginning(("auto", *KINDS), incomplete)


COMPLETIONS: dict[str, Callable[..., list[str]]] = {
    "suite": complete_suites,
    "methods": complete_methods,
    "backbones": complete_backbones,
    "recipes": complete_recipes,
    "tasks": complete_tasks,
    "device": complete_devices,
}
"""By the field of `RunConfig`."""


def _methods() -> Iterable[str]:
    from taskmark.plugins.method_index import index_methods  # noqa: PLC0415

    return index_methods().methods


def _suites() -> Iterable[str]:
    from taskmark.suite.suite_file import find_suites  # noqa: PLC0415

    return find_suites()


def _chosen(context: Context) -> Iterator[Suite]:
    from taskmark.suite.suite_file import load  # noqa: PLC0415

    try:
        yield load(context.params.get("suite") or "mini")
    except TaskmarkError:  # which the command itself will say
        return


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
