"""Running a paper: its protocol laid over a suite, and the runs that measure its rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskmark.contract.recipe import get_recipe
from taskmark.errors import unknown
from taskmark.plugins.method_choice import MethodChoice
from taskmark.suite.suite_file import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmark.config import RunConfig
    from taskmark.contract.recipe import Mode
    from taskmark.papers.paper_file import Paper
    from taskmark.suite.suite_file import Suite


def lay_over_suite(paper: Paper, suite: Suite) -> Suite:
    """The variant of the suite with what the paper says of searches.

    None of its records lands on the suite's board.
    Data, heads and experts do not depend on it, and are shared with runs of the suite.
    """
    protocol = suite.protocol
    changes: dict[str, Any] = {
        "trials": paper.search.trials or protocol.trials,
        "gradient_images": paper.search.gradient_images or protocol.gradient_images,
        "scale_ranges": protocol.scale_ranges
        | {run.method: run.scales for run in paper.runs.values() if run.scales is not None},
    }
    changed = json.dumps([paper.name, changes, paper.disentanglement], sort_keys=True)
    if not paper.disentanglement:
        changes["disentanglement"] = protocol.disentanglement.model_copy(update={"pairs": ()})
    laid_over = suite.model_copy(update={"protocol": protocol.model_copy(update=changes)})
    return laid_over.vary(changed, paper=paper.command)


def choose_suite(paper: Paper, name: str | None) -> str:
    """The suite to lay the paper's protocol over: the one that a user named, or its first.

    Raises:
        TaskmarkError: if it is not one that the paper's figures may stand beside.
    """
    for suite in paper.suites:
        called = load(suite).label if suite.endswith(".toml") else suite
        if name in {None, suite, called, called.partition("@")[0]}:
            return suite
    raise unknown(f"suite of {paper.name} called", str(name), paper.suites)


def choose_backbones(paper: Paper, chosen: Sequence[str]) -> tuple[str, ...]:
    """The backbones to run: those chosen, in the paper's order, or all of the paper.

    Raises:
        TaskmarkError: if one is not the paper's.
    """
    for name in chosen:
        if name not in paper.backbones:
            raise unknown(f"backbone of {paper.name} called", name, paper.backbones)
    return tuple(name for name in paper.backbones if not chosen or name in chosen)


def rows_left_out(paper: Paper, tuned: Mode) -> str:
    """The rows that experts tuned in that mode cannot stand for, in words."""
    runs = paper.runs.items()
    return ", ".join(name for name, run in runs if get_recipe(run.recipe).tuned != tuned)


def plan_runs(paper: Paper, config: RunConfig, *, tuned: Mode | None = None) -> list[RunConfig]:
    """What to run, one configuration per recipe, so that no method runs under another's.

    Args:
        paper: the paper.
        config: what the user asked for; the paper says backbones, methods and recipes.
        tuned: how the experts that are brought along were tuned; rows that need others are left
            out. None where the run tunes its own.
    """
    by_recipe: dict[str, list[MethodChoice]] = {}
    for run in paper.runs.values():
        if tuned in {None, get_recipe(run.recipe).tuned}:
            choice = MethodChoice.of(run.method, run.hyperparameters)
            by_recipe.setdefault(run.recipe, []).append(choice)
    return [
        config.model_copy(
            update={
                "backbones": choose_backbones(paper, config.backbones),
                "methods": tuple(dict.fromkeys(choices)),
                "recipes": (recipe,),
                "negation": paper.negation,
            }
        )
        for recipe, choices in by_recipe.items()
    ]
