"""An expert set: the experts, heads and reference of one backbone, recipe and seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from taskmark.contract.recipe import get_recipe
from taskmark.inference.items import Items
from taskmark.inference.readers import Setting, reader
from taskmark.stages.expert_reference import ExpertReference
from taskmark.stages.expert_stages import ReadExpert, Tune
from taskmark.stages.heads import HeadKind, MakeHead
from taskmark.stages.item_sample import sample_items
from taskmark.stages.model import Model
from taskmark.stages.stage_provenance import stage_provenance
from taskmark.stages.task_inputs import Inputs
from taskmark.stages.task_vectors import TaskVectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from taskmark.engine.stage_store import StageStore
    from taskmark.experts.foreign import ForeignExperts
    from taskmark.inference.passes import Passes
    from taskmark.inference.readers import Reader
    from taskmark.records.envelope import ExpertOrigin, Provenance
    from taskmark.records.suite_facts import SuiteFacts
    from taskmark.suite.protocol import Pick
    from taskmark.suite.suite_file import Suite


@dataclass(frozen=True)
class ExpertSet:
    """What every record about experts stands on.

    `inputs` and `heads` are by task, in the suite's order.
    """

    suite: SuiteFacts
    backbone: str
    head_kind: HeadKind
    model: Model
    recipe: str
    seed: int
    inputs: Mapping[str, Inputs]
    heads: Mapping[str, MakeHead]
    vectors: TaskVectors
    reference: ExpertReference
    brought: ExpertOrigin | None = None

    @classmethod
    def of(
        cls,
        suite: Suite,
        backbone: str,
        recipe: str,
        seed: int,
        *,
        foreign: ForeignExperts | None = None,
        accepted: str | None = None,
        checkpoint_seconds: float,
    ) -> ExpertSet:
        """The experts of a suite's backbone under a recipe.

        Args:
            suite: it.
            backbone: its name in the suite.
            recipe: its name.
            seed: of tuning.
            foreign: experts to read from files instead of tuning them.
            accepted: why the user trusts experts that look wrong.
            checkpoint_seconds: between two checkpoints of a tuning.
        """
        model = Model.of(suite, backbone)
        inputs = {task: Inputs.of(suite, backbone, task) for task in suite.tasks}
        heads = {task: MakeHead.of(suite, backbone, task) for task in suite.tasks}
        experts: dict[str, Tune | ReadExpert] = {
            task: ReadExpert.of(suite, backbone, task, foreign.folders[backbone, seed].files[task])
            if foreign
            else Tune.of(suite, backbone, task, recipe, seed, checkpoint_seconds)
            for task in suite.tasks
        }
        vectors = TaskVectors(model, experts)
        return cls(
            suite=suite.facts,
            backbone=backbone,
            head_kind=suite.backbones[backbone].heads,
            model=model,
            recipe=recipe,
            seed=seed,
            inputs=inputs,
            heads=heads,
            vectors=vectors,
            reference=ExpertReference(
                model=model,
                recipe=recipe,
                vectors=vectors,
                inputs=inputs,
                heads=heads,
                expert_ranges={task: own.expert_range for task, own in suite.tasks.items()},
                foreign=foreign is not None,
                accepted=accepted,
            ),
            brought=foreign.facts(backbone, seed) if foreign else None,
        )

    def with_controls(self, suite: Suite) -> ExpertSet:
        """The same set with the inputs and heads of the tasks that only control."""
        controls = suite.controls
        inputs = {task: Inputs.of(suite, self.backbone, task) for task in controls}
        heads = {task: MakeHead.of(suite, self.backbone, task) for task in controls}
        return replace(self, inputs={**self.inputs, **inputs}, heads={**self.heads, **heads})

    def validation(self, store: StageStore) -> dict[str, Items]:
        """The items of validation of each task."""
        found = {}
        for task, inputs in self.inputs.items():
            tensors = store.get(inputs).tensors
            head = self.heads[task].read(store)
            found[task] = Items(head, tensors["validation"], tensors["validation_labels"])
        return found

    def test(
        self, store: StageStore, *, n_items: int | None = None, pick: Pick = "first"
    ) -> dict[str, Items]:
        """The items of test of each task, or `n_items` of them, see `item_sample`."""
        found = {}
        for task, inputs in self.inputs.items():
            tensors = store.get(inputs, "inputs_test").tensors
            items, targets = tensors["test"], tensors["test_labels"]
            n_wanted = len(targets) if n_items is None else n_items
            rows = sample_items(len(targets), n_wanted, pick, task=task)
            found[task] = Items(self.heads[task].read(store), items[rows], targets[rows])
        return found

    def passes(self, store: StageStore) -> Passes:
        """How items pass through these experts' model."""
        return self.reference.passes(store)

    def provenance(self, store: StageStore, resolved: Mapping[str, str] | None) -> Provenance:
        """Where and by what a record about these experts is made, now."""
        return stage_provenance(store, self.passes(store), resolved)

    def reader(
        self,
        store: StageStore,
        pretrained: Tensor,
        *,
        passes: Passes | None = None,
        encoder: nn.Module | None = None,
    ) -> Reader:
        """A reader of theta0 [P], as the recipe says.

        It passes items as the experts were read unless `passes` says otherwise, on an encoder of
        its own unless one is given.
        """
        setting = Setting.of(
            encoder or self.model.encoder(),
            store.device,
            passes or self.passes(store),
            pretrained,
        )
        return reader(get_recipe(self.recipe).read, setting)
