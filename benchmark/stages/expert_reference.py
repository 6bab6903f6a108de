"""The expert reference: what every expert answers on its own task, before anything is merged.

It normalises the accuracies of merged models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.contract.recipe import get_recipe
from taskmark.engine.stage import Cost, Stage
from taskmark.inference.choosing_passes import ReadExperts, choose_passes
from taskmark.inference.items import Items
from taskmark.inference.passes import Passes, fast_dtype, total_bytes
from taskmark.inference.readers import Reader, Setting, passes_per_item, reader
from taskmark.stages.expert_checks import Scored, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from taskmark.engine.stage_store import StageStore
    from taskmark.stages.heads import MakeHead
    from taskmark.stages.model import Model
    from taskmark.stages.task_inputs import Inputs
    from taskmark.stages.task_vectors import TaskVectors
    from taskmark.suites.task_data import Sizes


@dataclass(frozen=True)
class ExpertReference(Stage):
    """The experts' answers on validation and test of their own task, and which are right.

    On a GPU this stage also finds out how all that stands on these experts passes items: how many
    fit into its memory at once, and whether a faster precision keeps the experts' accuracies. Test
    items have no part in that.

    Attributes:
        model: the backbone's network.
        recipe: how the experts are read.
        vectors: the task vectors.
        inputs: of each task.
        heads: of each task.
        expert_ranges: of each task, the accuracies that clean experts are known to have.
        foreign: whether the experts were brought along.
        accepted: why the user trusts experts that look wrong.
    """

    name = "expert_reference"
    version = 1

    model: Model
    recipe: str
    vectors: TaskVectors
    inputs: Mapping[str, Inputs]
    heads: Mapping[str, MakeHead]
    expert_ranges: Mapping[str, tuple[float, float] | None]
    foreign: bool = False
    accepted: str | None = None

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.model.weights}, {self.recipe}: measuring the experts"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Each expert reads validation and test of its own task."""
        n_items = sum(s.validation + s.test for task, s in sizes.items() if task in self.inputs)
        return Cost(self.model, reading=passes_per_item(get_recipe(self.recipe).read) * n_items)

    def make(self, store: StageStore) -> None:
        """Read every expert on its own task.

        Raises:
            TaskmarkError: if an expert looks wrong and nobody said why it is not.
        """
        weights = store.get(self.vectors).tensors
        recipe, device = get_recipe(self.recipe), store.torch_device
        heads = {task: head.read(store) for task, head in self.heads.items()}
        validation = {
            task: _items(heads[task], store.get(inputs).tensors, "validation")
            for task, inputs in self.inputs.items()
        }

        def read(passes: Passes) -> Reader:
            # A reader has the encoder's weights for itself.
            encoder = self.model.encoder()
            setting = Setting.of(encoder, device, passes, weights["pretrained"])
            return reader(recipe.read, setting)

        experts = ReadExperts(
            dict(zip(self.inputs, weights["task_vectors"], strict=True)), validation
        )
        chosen = choose_passes(
            experts,
            read,
            usual=Passes(next(iter(self.inputs.values())).batch_size),
            fast=fast_dtype(device) if recipe.read == "standard" else None,
            memory=total_bytes(device),
        )
        answers: dict[str, Tensor] = {}
        scored: list[Scored] = []
        for task, inputs in self.inputs.items():
            known = validation[task]
            before, after = chosen.on_validation[task]
            answers |= _stored("validation", task, known, after)
            tested = _items(heads[task], store.get(inputs, "inputs_test").tensors, "test")
            on_test = experts.answers(chosen.reader, task, [1.0], tested)[0]
            answers |= _stored("test", task, tested, on_test)
            gold = known.head.gold(known.targets)
            scored.append(
                Scored(
                    task=task,
                    validation=known.correct(after).numpy(),
                    test=tested.correct(on_test).numpy(),
                    pretrained=known.correct(before).numpy(),
                    most_common=(gold == gold.mode().values).numpy(),
                    clean_range=self.expert_ranges[task],
                )
            )
        as_tuned = recipe.read == get_recipe(recipe.tuned).read
        judge(scored, foreign=self.foreign, read_as_tuned=as_tuned, accepted=self.accepted)
        store.put(self, answers, chosen.passes.facts)

    def passes(self, store: StageStore) -> Passes:
        """How all that stands on these experts passes items."""
        return Passes.of(store.get(self).facts)


def _items(head: object, tensors: Mapping[str, Tensor], split: str) -> Items:
    return Items(head, tensors[split], tensors[f"{split}_labels"])  # type: ignore[arg-type]


def _stored(split: str, task: str, items: Items, answers: Tensor) -> dict[str, Tensor]:
    """What is kept of a split: the answers, and which of them are right."""
    return {f"{split}/{task}": answers, f"{split}/{task}/correct": items.correct(answers)}
