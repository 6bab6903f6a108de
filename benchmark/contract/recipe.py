"""The recipes: how an expert is tuned, and how edited weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from taskmark.errors import unknown

Mode = Literal["standard", "tangent"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A pair of choices.

    Attributes:
        name: as on the record.
        tuned: "standard" tunes f(x; theta), "tangent" its linearisation at theta0,
            f(x; theta0) + J(x) (theta - theta0) (Ortiz-Jimenez et al. 2023).
        read: which of the two evaluates the edited weights.
        summary: in a few words, for tables.
    """

    name: str
    tuned: Mode
    read: Mode
    summary: str


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("standard", "standard", "standard", "tuned and read as the model itself"),
        Recipe("tangent", "tangent", "tangent", "tuned and read in the model linearised at theta0"),
        Recipe("post_hoc", "standard", "tangent", "tuned as itself, read in the linearised model"),
    )
}


def recipe_named(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        TaskmarkError: if there is none of that name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
