"""The plan of a run: every job from data to records, with keys known before anything runs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskmark.contract.recipe import RECIPES, Mode, Recipe, recipe_named
from taskmark.engine.choosing import chosen_rows
from taskmark.engine.jobs import Job
from taskmark.errors import TaskmarkError
from taskmark.experts.foreign import suited
from taskmark.experts.reading import make_foreign_expert
from taskmark.machine.devices import kind_of
from taskmark.plugins.registry import MethodChoice, build
from taskmark.stages.data import make_data, make_inputs
from taskmark.stages.disentanglement import make_disentanglement
from taskmark.stages.expert_reference import make_normaliser
from taskmark.stages.experts import Stand, make_expert, stack_vectors
from taskmark.stages.heads import make_head
from taskmark.stages.localisation import make_localisation
from taskmark.stages.negation import controls_of, make_negation
from taskmark.stages.negation_of_methods import has_direction_of_its_own, make_negation_of_method
from taskmark.stages.row import Row, make_row
from taskmark.store.keys import artifact_key, source_of
from taskmark.suite.provider import fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from taskmark.context import Context
    from taskmark.experts.foreign import ForeignExperts


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user chose to run; empty means what the suite or the methods say.

    `negation` adds task negation under every recipe in play, of the task vectors themselves and of
    what each method makes of them, `localisation` that of the NTK of each backbone. `experts` is a
    folder, or a tree of folders, of experts to bring along instead of tuning them, `accept_experts`
    why those that look wrong are right.
    """

    backbones: tuple[str, ...] = ()
    methods: tuple[MethodChoice, ...] = ()
    recipes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    negation: bool = False
    localisation: bool = False
    experts: Path | None = None
    accept_experts: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs, each after those that it needs, and which of them are rows."""

    jobs: tuple[Job, ...]
    rows: dict[str, Row]


def plan(context: Context, selection: Selection) -> Plan:
    """Lay out a run.

    Raises:
        TaskmarkError: if a name is unknown or a hyper-parameter is not allowed.
    """
    return _Planner(context).plan(selection)


class _Planner:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._suite = context.suite
        self._provider_file = source_of(context.suite.provider)
        self._is_fetched = fetched(context.provider) is not None
        self._weights_sha256: dict[str, str] = {}
        self._jobs: dict[str, Job] = {}
        self._rows: dict[str, Row] = {}
        self._accepted: str | None = None

    def plan(self, selection: Selection) -> Plan:
        methods = self._context.methods()
        self._accepted = selection.accept_experts
        chosen = chosen_rows(methods, selection, n_tasks=len(self._suite.tasks))
        backbones = self._suite.chosen(selection.backbones)
        facts = [self._suite.backbones[backbone] for backbone in backbones]
        self._weights_sha256 = {each.weights: each.sha256 for each in facts}
        if experts := self._context.experts:
            mode = experts.recipe
            chosen = suited(chosen, mode, methods=selection.methods, recipes=selection.recipes)
            self._foreign_experts(experts)  # first, so that what is wrong with a file is said soon
        for backbone in backbones:
            if selection.localisation:
                self._localisation(backbone)
            for seed in dict.fromkeys(selection.seeds):
                tuned_under = experts.tuned_under(backbone, seed) if experts else seed
                stands = {
                    recipe: self._stand(backbone, recipe, tuned_under)
                    for recipe in RECIPES.values()
                    if recipe in {row[1] for row in chosen}
                }
                for stand in stands.values():
                    self._disentanglement(stand)
                    if selection.negation:
                        self._negation(self._controlled(stand))
                for choice, recipe in chosen:
                    row = Row(stands[recipe], self._with_defaults(choice), seed)
                    self._row(row)
                    if selection.negation and has_direction_of_its_own(methods[choice.name].method):
                        controlled = self._controlled(row.stand)
                        self._negation_of_method(dataclasses.replace(row, stand=controlled))
        return Plan(tuple(self._jobs.values()), self._rows)

    def _with_defaults(self, choice: MethodChoice) -> MethodChoice:
        fields = {
            **self._suite.hyperparameters.get(choice.name, {}),
            **dict(choice.hyperparameters),
        }
        return MethodChoice(choice.name, tuple(sorted(fields.items())))

    def _stand(self, backbone: str, recipe: Recipe, seed: int) -> Stand:
        tasks = tuple(self._suite.tasks)
        weights = self._suite.backbones[backbone].weights
        inputs = {task: self._inputs(weights, task) for task in tasks}
        heads = {task: self._head(backbone, task, inputs[task]) for task in tasks}
        foreign = self._context.experts
        experts = {
            task: self._foreign_expert(backbone, task, seed, foreign)
            if foreign
            else self._expert(backbone, task, recipe.tuned, seed, inputs[task], heads[task])
            for task in tasks
        }
        vectors = self._add(
            "vectors",
            f"{backbone}: laying out the task vectors",
            stack_vectors,
            {"backbone": backbone, "experts": experts},
            needs=experts.values(),
            also={"order": tasks},
        )
        normaliser = self._add(
            "normaliser",
            f"{backbone}, {recipe.name}: measuring the experts",
            make_normaliser,
            {
                "backbone": backbone,
                "recipe": recipe.name,
                "inputs": inputs,
                "heads": heads,
                "vectors": vectors,
                "clean_ranges": {task: self._suite.tasks[task].expert_range for task in tasks},
                "foreign": foreign is not None,
                "accepted": self._accepted,
            },
            needs=[*inputs.values(), *heads.values(), vectors],
            pace=recipe.read,
            also={"batch": self._suite.protocol.batch_size},
        )
        return Stand(
            backbone=backbone,
            recipe=recipe.name,
            expert_seed=seed,
            inputs=inputs,
            heads=heads,
            vectors=vectors,
            normaliser=normaliser,
        )

    def _inputs(self, weights: str, task: str) -> str:
        data = self._add(
            "data",
            f"{'checking' if self._is_fetched else 'making'} the images of {task}",
            make_data,
            {"task": task},
            also={"sha256": self._suite.data_of(task).sha256},
        )
        # What is fetched has no stem: its encoders take the images as they are.
        doing = "taking over the images of" if self._is_fetched else "running the frozen stem on"
        return self._add(
            "inputs",
            f"{weights}: {doing} {task}",
            make_inputs,
            {"weights": weights, "data": data},
            needs=[data],
            also={
                "sha256": self._weights_sha256[weights],
                "batch": self._suite.protocol.batch_size,
            },
        )

    def _head(self, backbone: str, task: str, inputs: str) -> str:
        facts = self._suite.backbones[backbone]
        return self._add(
            "heads",
            f"{backbone}: {facts.heads} head of {task}",
            make_head,
            {"backbone": backbone, "inputs": inputs},
            needs=[inputs],
            also={
                "kind": facts.heads,
                "strengths": self._suite.protocol.probe_strengths,
                "batch": self._suite.protocol.batch_size,
            },
        )

    def _expert(  # one line an argument, each a part of the key
        self, backbone: str, task: str, mode: Mode, seed: int, inputs: str, head: str
    ) -> str:
        tuning = self._suite.tuning(task, mode)
        return self._add(
            "experts",
            f"{backbone}: tuning the {mode} expert of {task}",
            make_expert,
            {
                "backbone": backbone,
                "task": task,
                "mode": mode,
                "seed": seed,
                "inputs": inputs,
                "head": head,
            },
            needs=[inputs, head],
            also={"tuning": tuning.model_dump(mode="json")},
            pace=f"{mode} for {tuning.epochs} epochs",
        )

    def _foreign_experts(self, foreign: ForeignExperts) -> None:
        for backbone, seed in foreign.folders:
            for task in self._suite.tasks:
                self._foreign_expert(backbone, task, seed, foreign)

    def _foreign_expert(self, backbone: str, task: str, seed: int, foreign: ForeignExperts) -> str:
        file = foreign.folders[backbone, seed].files[task]
        weights = self._suite.backbones[backbone].weights
        return self._add(
            "experts",
            f"{backbone}: reading the expert of {task} of {foreign.family}",
            make_foreign_expert,
            {
                "backbone": backbone,
                "seed": seed,
                "task": task,
                "sha256": file.sha256,
                "remainder": file.remainder,
            },
            also={"weights": self._weights_sha256[weights]},
            pace="read",
        )

    def _disentanglement(self, stand: Stand) -> None:
        if not self._suite.protocol.disentanglement.pairs:
            return
        self._add(
            "disentanglement",
            f"{stand.backbone}, {stand.recipe}: weight disentanglement",
            make_disentanglement,
            {"stand": stand},
            needs=stand.keys(),
            pace=recipe_named(stand.recipe).read,
            also={"suite": self._suite.sha256},
        )

    def _controlled(self, stand: Stand) -> Stand:
        """The stand with the tasks that only control."""
        weights = self._suite.backbones[stand.backbone].weights
        inputs = {task: self._inputs(weights, task) for task in self._suite.controls}
        heads = {task: self._head(stand.backbone, task, key) for task, key in inputs.items()}
        return dataclasses.replace(
            stand, inputs={**stand.inputs, **inputs}, heads={**stand.heads, **heads}
        )

    def _negation(self, stand: Stand) -> None:
        self._add(
            "negation",
            f"{stand.backbone}, {stand.recipe}: task negation",
            make_negation,
            {"stand": stand, **self._negation_rule()},
            needs=stand.keys(),
            pace=recipe_named(stand.recipe).read,
            also={"suite": self._suite.sha256},
        )

    def _negation_of_method(self, row: Row) -> None:
        stand, found = row.stand, self._context.methods()[row.choice.name]
        self._add(
            "negation",
            f"{stand.backbone}, {stand.recipe}: task negation by {row.choice.name}",
            make_negation_of_method,
            {"row": row, **self._negation_rule()},
            needs=stand.keys(),
            also={"suite": self._suite.sha256, "source": found.source_sha256()},
            code=found.code(),
            pace=f"{recipe_named(stand.recipe).read} {row.choice.name}",
        )

    def _negation_rule(self) -> dict[str, Any]:
        suite, rule = self._suite, self._suite.protocol.negation
        if rule is None:
            raise TaskmarkError(
                f"The suite {suite.name} {suite.version} has no section [protocol.negation]; "
                "leave negation out, or run a suite that has it."
            )
        tasks = list(suite.tasks)
        if len(tasks) == 1 and not suite.controls:
            raise TaskmarkError(
                f"The only task, {tasks[0]!r}, cannot be negated without another "
                "that controls it; run two tasks or more."
            )
        return {
            "controls": {
                task: controls_of(task, tasks, rule.controls, others=suite.controls)
                for task in tasks
            },
            "keep": rule.keep,
        }

    def _localisation(self, backbone: str) -> None:
        suite = self._suite
        pairs = suite.protocol.disentanglement.pairs
        if not pairs:
            raise TaskmarkError(
                f"The suite {suite.name} {suite.version} names no pair of tasks to tell apart by "
                "their NTK; leave localisation out, or run two tasks or more."
            )
        weights = suite.backbones[backbone].weights
        paired = dict.fromkeys(task for pair in pairs for task in pair)
        inputs = {task: self._inputs(weights, task) for task in paired}
        self._add(
            "localisation",
            f"{backbone}: NTK localisation",
            make_localisation,
            {"backbone": backbone, "inputs": inputs},
            needs=inputs.values(),
            also={"suite": suite.sha256},
        )

    def _row(self, row: Row) -> None:
        stand, found = row.stand, self._context.methods()[row.choice.name]
        build(found.method, dict(row.choice.hyperparameters))  # a wrong value ends it here
        key = self._add(
            "records",
            f"{stand.backbone}, {stand.recipe}: {row.choice.name}",
            make_row,
            {"row": row},
            needs=stand.keys(),
            also={"suite": self._suite.sha256, "source": found.source_sha256()},
            code=found.code(),
            pace=f"{recipe_named(stand.recipe).read} {row.choice.name}",
        )
        self._rows[key] = row

    def _add(
        self,
        kind: str,
        label: str,
        function: Callable[..., str | None],
        arguments: dict[str, Any],
        *,
        needs: Iterable[str] = (),
        also: dict[str, Any] | None = None,
        code: Iterable[Any] = (),
        pace: str = "",
    ) -> str:
        plain = {name: _plain(value) for name, value in arguments.items()}
        key = artifact_key(
            code=[source_of(function.__module__), self._provider_file, *code],
            inputs={"kind": kind, "arguments": plain, "also": also or {}},
            device=kind_of(self._context.device),
        )
        if key not in self._jobs:
            needed = tuple(dict.fromkeys(needs))
            self._jobs[key] = Job(kind, key, label, function, arguments, needed, pace)
        return key


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
