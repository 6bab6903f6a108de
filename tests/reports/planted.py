"""Records in which the truth is planted: what each method can do, and how deep each map is."""

from __future__ import annotations

from made_up_records import made_up_disentanglement, made_up_method, made_up_record

from taskmark.reports.board import boards
from taskmark.reports.evidence import Evidence

RECIPES = {"tangent_fine_tuning": "tangent"}


def rows(skills, *, backbone="supervised", seeds=(0,), n=400):
    """Records of methods with these skills, and of the experts of every recipe in play."""
    recipes = {"standard", *(RECIPES.get(name, "standard") for name in skills)}
    shared = {"backbone": backbone, "n": n}
    records = [
        made_up_record(
            method=made_up_method("experts"), skill=1.0, recipe=recipe, expert_seed=seed, **shared
        )
        for recipe in sorted(recipes)
        for seed in seeds
    ]
    return records + [
        made_up_record(
            method=made_up_method(name),
            skill=skill,
            recipe=RECIPES.get(name, "standard"),
            expert_seed=seed,
            **shared,
        )
        for name, skill in skills.items()
        for seed in seeds
    ]


def maps(depths, *, seeds=(0,)):
    """Maps of these depths, (backbone, recipe) -> depth."""
    return [
        made_up_disentanglement(backbone=backbone, recipe=recipe, depth=depth, expert_seed=seed)
        for (backbone, recipe), depth in depths.items()
        for seed in seeds
    ]


def evidence(records=(), found=()):
    """The evidence of some records and maps of one suite."""
    return Evidence(boards(records), found)
