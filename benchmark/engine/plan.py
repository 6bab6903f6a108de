"""The plan of a run: the stages whose records it asks for, and everything that they need.

Which stages make records is found by looking through `taskmark.stages`; a stage says itself what a
run that asks for this and that has of it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskmark import stages
from taskmark.contract.recipe import RECIPES, Recipe, get_recipe
from taskmark.engine.stage import RecordStage, Stage
from taskmark.errors import TaskmarkError, unknown
from taskmark.experts.foreign import select_rows
from taskmark.plugins.method_choice import GROUPS, MethodChoice, core_methods
from taskmark.stages.expert_set import ExpertSet
from taskmark.stages.method_call import MethodCall, PluginFiles
from taskmark.store.tuning_checkpoints import CHECKPOINT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskmark.contract.method import Method
    from taskmark.experts.foreign import ForeignExperts
    from taskmark.plugins.registry import Found
    from taskmark.suite.suite_file import Suite


EXPERTS, STANDARD = "experts", "standard"
"""The reference row of the experts, and the recipe whose experts normalise all rows."""


@dataclass(frozen=True)
class Request:
    """What a run asks for, with every name looked up.

    Attributes:
        suite: with the hashes of all data and weights that the run looks at.
        backbones: names of the suite.
        methods: those that the user named, and groups of methods; none for all.
        recipes: those that the user named.
        seeds: of tuning and of methods.
        negation: whether tasks are negated, too.
        localisation: whether the NTK is looked at, too.
        plugins: files with methods.
        foreign: experts that are brought along instead of being tuned.
        accepted: why the user trusts experts that look wrong.
        resolved: hashes that were found where the suite leaves them open.
        checkpoint_seconds: between two checkpoints of a tuning.
    """

    suite: Suite
    backbones: tuple[str, ...]
    methods: tuple[MethodChoice, ...] = ()
    recipes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    negation: bool = False
    localisation: bool = False
    plugins: PluginFiles = PluginFiles()
    foreign: ForeignExperts | None = None
    accepted: str | None = None
    resolved: Mapping[str, str] = field(default_factory=dict)
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    @functools.cached_property
    def found(self) -> dict[str, Found]:
        """All methods that there are, by name."""
        return self.plugins.methods()

    @functools.cached_property
    def chosen(self) -> tuple[tuple[MethodChoice, Recipe], ...]:
        """The methods of the run, each under the recipes that it runs under.

        Raises:
            TaskmarkError: if a name is unknown, or nothing is left to run.
        """
        rows = chosen_rows(
            self.found,
            methods=self.methods,
            recipes=self.recipes,
            n_tasks=len(self.suite.tasks),
        )
        if self.foreign:
            mode = self.foreign.recipe
            named = [choice for choice in self.methods if not choice.is_group]
            rows = select_rows(rows, mode, methods=named, recipes=self.recipes)
        return tuple(rows)

    def method(self, name: str) -> type[Method]:
        """The class of a method."""
        return self.found[name].method

    def call(self, choice: MethodChoice) -> MethodCall:
        """A method with the suite's hyper-parameters and, before those, the user's.

        Raises:
            TaskmarkError: if a hyper-parameter is not allowed.
        """
        fields = {
            **self.suite.hyperparameters.get(choice.name, {}),
            **dict(choice.hyperparameters),
        }
        return MethodCall.of(self.found[choice.name], fields, self.plugins)

    def expert_sets(self) -> Iterator[ExpertSet]:
        """The expert sets in play; the standard experts alone, which normalise, are none."""
        in_play = {recipe.name for choice, recipe in self.chosen if choice.name != EXPERTS}
        for backbone in self.backbones:
            for seed in dict.fromkeys(self.seeds):
                for recipe in RECIPES:
                    if recipe in in_play:
                        yield self._expert_set(backbone, recipe, seed)

    def rows(self) -> Iterator[tuple[ExpertSet, MethodChoice, int]]:
        """The rows: an expert set, a method, and the seed of its generator.

        What a reader waits for comes first: the core rows of one backbone after the other, then the
        others. Among the rows of a backbone the standard experts come first, then the same experts
        read otherwise, then other experts; among those, rows that see nothing but weights.
        """
        chosen = sorted(self.chosen, key=lambda row: _urgency(self.method(row[0].name), row[1]))
        for core in (True, False):
            for backbone in self.backbones:
                for seed in dict.fromkeys(self.seeds):
                    for choice, recipe in chosen:
                        if is_core(choice.name, self.method(choice.name).role) == core:
                            yield self._expert_set(backbone, recipe.name, seed), choice, seed

    def _expert_set(self, backbone: str, recipe: str, seed: int) -> ExpertSet:
        tuned_under = self.foreign.tuned_under(backbone, seed) if self.foreign else seed
        place = backbone, recipe, tuned_under
        if place not in self._expert_sets:
            self._expert_sets[place] = ExpertSet.of(
                self.suite,
                *place,
                foreign=self.foreign,
                accepted=self.accepted,
                checkpoint_seconds=self.checkpoint_seconds,
            )
        return self._expert_sets[place]

    @functools.cached_property
    def _expert_sets(self) -> dict[tuple[str, str, int], ExpertSet]:
        return {}


def _urgency(method: type[Method], recipe: Recipe) -> tuple[bool, bool, bool, bool]:
    """What of the rows of a backbone comes first, smallest first."""
    return (
        recipe.tuned != STANDARD,
        recipe.name != STANDARD,
        method.track != "weights",
        method.role != "reference",
    )


def plan(request: Request) -> tuple[Stage, ...]:
    """The stages whose records a run asks for, and all that they need, each after its needs.

    Raises:
        TaskmarkError: if a name is unknown or a hyper-parameter is not allowed.
    """
    return with_needs(stage for kind in record_stages() for stage in kind.plan(request))


@functools.cache
def record_stages() -> tuple[type[RecordStage], ...]:
    """The classes of stages that make records, rows first."""
    found = [
        value
        for module in pkgutil.iter_modules(stages.__path__)
        for value in vars(importlib.import_module(f"{stages.__name__}.{module.name}")).values()
        if isinstance(value, type) and issubclass(value, RecordStage) and value is not RecordStage
    ]
    by_name = sorted(set(found), key=lambda kind: (kind.name, kind.__name__ != "MeasureRow"))
    return tuple(sorted(by_name, key=lambda kind: kind.name != "records"))


def with_needs(asked: Iterable[Stage]) -> tuple[Stage, ...]:
    """Stages and all that they need, directly or not, each once and after what it needs."""
    found: dict[str, Stage] = {}

    def add(stage: Stage) -> None:
        if stage.identity not in found:
            for need in stage.needs:
                add(need)
            found[stage.identity] = stage

    for stage in asked:
        add(stage)
    return tuple(found.values())


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
