"""Checks of what a class states about itself, before it is run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, get_args

from taskmark.conformance.finding import UnmetError
from taskmark.conformance.miniature import TASKS
from taskmark.contract.recipe import RECIPES
from taskmark.inference.scale_search import is_interval
from taskmark.plugins.registry import is_number_of_tasks
from taskmark.records.envelope import Role, Track

if TYPE_CHECKING:
    from taskmark.contract.method import Method


def name(method: type[Method]) -> str:
    """The name is an identifier."""
    stated = getattr(method, "name", None)
    if not isinstance(stated, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", stated):
        raise UnmetError(
            f"The name is {stated!r}; set the class attribute name to lower-case letters, digits "
            "and underscores."
        )
    return f"The name {stated!r} is an identifier."


def facts(method: type[Method]) -> str:
    """The class attributes have values that they can have."""
    choices = {"track": get_args(Track), "role": get_args(Role), "recipe": tuple(RECIPES)}
    for fact, known in choices.items():
        if getattr(method, fact) not in known:
            raise UnmetError(
                f"The fact {fact} is {getattr(method, fact)!r}; use one of {', '.join(known)}."
            )
    if not method.summary():
        raise UnmetError("The class has no docstring; say in one line what the method does.")
    if method.paper and not method.paper.startswith(("https://", "http://")):
        raise UnmetError(f"The paper is {method.paper!r}; give an address, or leave it empty.")
    if not isinstance(method.order_matters, str):
        raise UnmetError(
            f"order_matters is {method.order_matters!r}; give the reason in words, or leave it out."
        )
    if method.scale_range is not None and not is_interval(method.scale_range):
        raise UnmetError(
            f"The scale_range is {method.scale_range!r}; give two finite numbers, the smaller "
            "first, or None where the method finds its own scale."
        )
    if not isinstance(method.keeps_direction, bool):
        raise UnmetError(
            f"keeps_direction is {method.keeps_direction!r}; give True, or leave it out."
        )
    if not is_number_of_tasks(method.n_tasks) or method.n_tasks[0] > len(TASKS):
        raise UnmetError(
            f"n_tasks is {method.n_tasks!r}; give the least and the most number of tasks, such as "
            f"(2, 2), or None for no most; the checks have {len(TASKS)} tasks."
        )
    return "The facts are all there and valid."


def defaults(method: type[Method]) -> str:
    """Every hyper-parameter has a default that a record can hold."""
    try:
        instance = method()
        json.dumps(instance.hyperparameters(), allow_nan=False)
    except Exception as error:
        raise UnmetError(
            f"{method.__name__}() does not work ({str(error).splitlines()[0]}); give every field "
            "a default that is a JSON value."
        ) from error
    return f"{method.__name__}() makes an instance whose fields are JSON values."
