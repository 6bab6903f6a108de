"""Choosing rows: which methods a run has, and under which recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.contract.recipe import RECIPES, Recipe, get_recipe
from taskmark.errors import TaskmarkError, unknown
from taskmark.plugins.method_choice import GROUPS, MethodChoice, core_methods

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.contract.method import Method
    from taskmark.plugins.registry import Found

EXPERTS, STANDARD = "experts", "standard"
"""The reference row of the experts, and the recipe whose experts normalise all rows."""


def chosen_rows(
    found: Mapping[str, Found],
    *,
    methods: Sequence[MethodChoice],
    recipes: Sequence[str],
    n_tasks: int | None = None,
) -> list[tuple[MethodChoice, Recipe]]:
    """Which methods run under which recipes.

    A method runs under its own recipe; where the user names recipes, methods of the recipe
    "standard" run under all of those, and the others only where their own is among them. Baselines
    run under "standard", or under the recipes named; references under every recipe in play, since
    each recipe has its own experts. The standard experts have a row on every board, since all
    rows are normalised by them. A method that cannot merge that many tasks is left out, unless
    the user names it; a group of methods names none of them.

    Args:
        found: all methods that there are.
        methods: those that the user named, and groups of methods; none for all.
        recipes: those that the user named.
        n_tasks: how many tasks are merged; None asks no method whether it can.

    Raises:
        TaskmarkError: if a method or recipe is unknown, if a named method cannot merge that many
            tasks, or if nothing is left to run.
    """
    methods = methods or [MethodChoice("all")]
    named_methods = [choice for choice in methods if not choice.is_group]
    for choice in named_methods:
        if choice.name not in found:
            raise unknown("method", choice.name, [*found, *GROUPS])
    if n_tasks is not None:
        for choice in named_methods:
            _check_number(found[choice.name].method, n_tasks)
        found = {name: own for name, own in found.items() if own.method.takes(n_tasks)}
    named = [get_recipe(name) for name in recipes]
    competitors = [
        one
        for choice in methods
        for one in (_of_group(found, choice.name) if choice.is_group else [choice])
    ]
    rows: list[tuple[MethodChoice, Recipe]] = []
    for choice in [*competitors, *_of_role(found, "baseline")]:
        own = get_recipe(found[choice.name].method.recipe)
        suited = named if own.name == "standard" and named else [own]
        rows += [(choice, recipe) for recipe in suited if not named or recipe in named]
    if not rows:
        raise TaskmarkError(
            f"None of the chosen methods runs under the recipe {', '.join(recipes)}; "
            "choose another recipe, or leave --recipe out."
        )
    names = {recipe.name for _, recipe in rows}
    in_play = [recipe for name, recipe in RECIPES.items() if name in names]
    rows += [(choice, r) for choice in _of_role(found, "reference") for r in in_play]
    if EXPERTS in found:
        rows.append((MethodChoice(EXPERTS), RECIPES[STANDARD]))
    return list(dict.fromkeys(rows))


def is_core(name: str, role: str) -> bool:
    """Whether a method of that role is of the group `core`, or always run."""
    return name in core_methods() or role != "competitor"


def _of_group(found: Mapping[str, Found], group: str) -> list[MethodChoice]:
    """The methods of a group that compete, in the order of their names."""
    return [
        MethodChoice(name)
        for name, own in found.items()
        if own.method.role == "competitor"
        and (group in ("all", own.method.track) or (group == "core" and name in core_methods()))
    ]


def _check_number(method: type[Method], n_tasks: int) -> None:
    if method.takes(n_tasks):
        return
    least, most = method.n_tasks
    wanted = str(least) if least == most else f"{least} to {most or 'any number of'}"
    raise TaskmarkError(
        f"The method {method.name!r} merges {wanted} tasks, but this run has {n_tasks}; choose as "
        "many with --task, or another suite."
    )


def _of_role(found: Mapping[str, Found], role: str) -> list[MethodChoice]:
    return [MethodChoice(name) for name, own in found.items() if own.method.role == role]
