"""Joint training: one model tuned on all tasks at once, an upper bound for merged models."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

import torch
from torch import Tensor

from taskmark.contract.edit import Edit
from taskmark.contract.recipe import get_recipe
from taskmark.engine.stage import Cost, RecordStage, Stage, outside_key
from taskmark.inference.passes import Passes
from taskmark.inference.readers import Setting
from taskmark.machine.costs import measure
from taskmark.records.envelope import MethodFacts
from taskmark.records.provenance import own_commit
from taskmark.records.record import CountedCost, MeasuredCost, Record, Seeds, Storage
from taskmark.stages.evaluation import evaluate
from taskmark.stages.expert_stages import LEARNING, STATES, Tune, expert_seed
from taskmark.stages.row import geometry_of, scores_of_tasks
from taskmark.stages.tuning import tune
from taskmark.store.tuning_checkpoints import CHECKPOINT_SECONDS, Checkpoints
from taskmark.suite.provider import provider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskmark.contract.head import TaskHead
    from taskmark.engine.plan import Request
    from taskmark.engine.stage_store import StageStore
    from taskmark.inference.readers import Reader
    from taskmark.stages.expert_set import ExpertSet
    from taskmark.stages.heads import MakeHead
    from taskmark.stages.model import Model
    from taskmark.stages.task_inputs import Inputs
    from taskmark.suite.protocol import Tuning
    from taskmark.suites.task_data import Sizes

JOINT = "joint_training"
"""Name of the reference row."""

STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class JointHead:
    """The heads of several tasks as one, for tuning alone.

    Targets are [B, 2]: the place of the item's task, and what the task keeps of the item.
    """

    heads: tuple[TaskHead, ...]

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean over items of the loss under the head of each item's own task."""
        total = outputs.new_zeros(())
        for place, head in enumerate(self.heads):
            own = targets[:, 0] == place
            if own.any():
                loss = head.loss(outputs[own], targets[own, 1], label_smoothing=label_smoothing)
                total = total + loss * (own.sum() / len(targets))
        return total

    def to(self, device: torch.device | str) -> Self:
        """The same heads on another device."""
        return type(self)(tuple(head.to(device) for head in self.heads))


@dataclass(frozen=True)
class TuneJointly(Stage):
    """One model tuned on all tasks: its difference to theta0.

    Batches are drawn from the items of all tasks together, with the settings of the standard
    experts and as many passes over each task's items as its own expert has. So it takes as many
    steps as the experts together, but for those that their last, smaller batches are.

    Attributes:
        model: the backbone's network.
        seed: of the order of the batches.
        tuning: of each task's expert.
        inputs: of each task; all of one shape.
        heads: of each task.
        checkpoint_seconds: between two checkpoints.
    """

    name = JOINT
    version = 1

    model: Model
    seed: int
    tuning: Mapping[str, Tuning]
    inputs: Mapping[str, Inputs]
    heads: Mapping[str, MakeHead]
    checkpoint_seconds: float = outside_key(CHECKPOINT_SECONDS)

    @classmethod
    def of(cls, experts: ExpertSet) -> TuneJointly:
        """The counterpart of an expert set that is tuned here."""
        tuned = [own for own in experts.vectors.experts.values() if isinstance(own, Tune)]
        return cls(
            model=experts.model,
            seed=experts.seed,
            tuning={own.task: own.tuning for own in tuned},
            inputs=experts.inputs,
            heads=experts.heads,
            checkpoint_seconds=tuned[0].checkpoint_seconds,
        )

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.model.weights}: joint training on {len(self.inputs)} tasks"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Every epoch passes all items of train of all tasks, there and back."""
        learning = sum(
            LEARNING[STANDARD] * tuning.epochs * sizes[task].train
            for task, tuning in self.tuning.items()
            if task in sizes
        )
        return Cost(self.model, learning=learning, stored=1, held=STATES)

    def make(self, store: StageStore) -> None:
        """Tune the model; an interrupted tuning goes on from its last checkpoint."""
        encoder = self.model.encoder()
        batch_size = next(iter(self.inputs.values())).batch_size
        setting = Setting.of(encoder, store.device, Passes(batch_size))
        epochs = min(tuning.epochs for tuning in self.tuning.values())
        items, targets = join_items(
            [store.get(inputs).tensors for inputs in self.inputs.values()],
            [round(self.tuning[task].epochs / epochs) for task in self.inputs],
        )
        # Tuning asks a head for its loss alone.
        head = cast("TaskHead", JointHead(tuple(h.read(store) for h in self.heads.values())))
        common = next(iter(self.tuning.values())).model_copy(update={"epochs": epochs})
        checkpoints = Checkpoints(store.store, store.key(self), interval=self.checkpoint_seconds)
        with measure() as spent:
            tuned = tune(
                encoder,
                setting.space,
                setting.pretrained,
                head,
                items,
                targets,
                recipe=get_recipe(STANDARD),
                tuning=common,
                generator=torch.Generator().manual_seed(expert_seed(self.seed, JOINT)),
                device=setting.device,
                checkpoints=checkpoints,
            )
        facts = {
            "losses": tuned.losses,
            "seconds": checkpoints.seconds + spent.seconds,
            "cpu_seconds": checkpoints.cpu_seconds + spent.cpu_seconds,
            "peak_bytes": spent.peak_bytes,
            "device_peak_bytes": spent.device_peak_bytes,
            "gradient_images": epochs * len(items),
        }
        store.put(self, {"vector": tuned.vector}, facts)
        checkpoints.discard()


def join_items(
    tasks: Sequence[Mapping[str, Tensor]], repeats: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The items of train of several tasks, one task after the other, and their targets.

    Args:
        tasks: "train" [N, ...] and "train_labels" [N] of each.
        repeats: how often the items of each come.

    Returns:
        Items [M, ...], and targets [M, 2]: the place of the task, and the label.
    """
    items, targets = [], []
    for place, (tensors, n_times) in enumerate(zip(tasks, repeats, strict=True)):
        labels = tensors["train_labels"]
        pairs = torch.stack([torch.full_like(labels, place), labels], dim=1)
        items += [tensors["train"]] * n_times
        targets += [pairs] * n_times
    return torch.cat(items), torch.cat(targets)


@dataclass(frozen=True)
class MeasureJointRow(RecordStage):
    """The reference row of joint training: read on test once, never ranked."""

    name = "records"
    version = 1
    record = Record

    experts: ExpertSet
    joint: TuneJointly
    resolved: Mapping[str, str] | None = outside_key(None)

    @classmethod
    def plan(cls, request: Request) -> Iterator[MeasureJointRow]:
        """One for each set of standard experts, where the provider says that it is affordable."""
        affordable = getattr(provider(request.suite.provider), "JOINT_TRAINING", ())
        if request.foreign is None and request.suite.name in affordable:
            for experts in request.expert_sets():
                if experts.recipe == STANDARD:
                    yield cls(experts, TuneJointly.of(experts), request.resolved)

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.experts.backbone}, {STANDARD}: {JOINT}"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Test once."""
        own = [size.test for task, size in sizes.items() if task in self.experts.inputs]
        return Cost(self.experts.model, reading=float(sum(own)), held=3)

    def make(self, store: StageStore) -> str:
        """Read test, and return the record as JSON."""
        experts = self.experts
        vectors, tuned = store.get(experts.vectors), store.get(self.joint)
        edit = Edit(tuned.tensors["vector"])

        @functools.cache
        def read() -> Reader:
            return experts.reader(store, vectors.tensors["pretrained"])

        with measure() as tested:
            evaluated = evaluate(store, experts, vectors, read, edit, 1.0)
        record = Record(
            suite=experts.suite,
            backbone=experts.backbone,
            heads=experts.head_kind,
            recipe=experts.recipe,
            method=facts_of_joint_training(),
            seeds=Seeds(expert=experts.seed, method=experts.seed),
            state="ok",
            scale=1.0,
            **scores_of_tasks(evaluated),
            geometry=geometry_of(edit, 1.0, vectors),
            counted=CountedCost(
                trials=0,
                selection_images=0,
                gradient_images=tuned.facts["gradient_images"],
                forward_images=0,
                data_touched=self._touched(store),
                extra_parameters=0,
            ),
            storage=Storage(one_model=True, extra_bytes=0),
            measured=MeasuredCost(
                tune_seconds=vectors.facts["seconds"],
                tune_cpu_seconds=vectors.facts["cpu_seconds"],
                edit_seconds=tuned.facts["seconds"],
                edit_cpu_seconds=tuned.facts["cpu_seconds"],
                select_seconds=0.0,
                select_cpu_seconds=0.0,
                evaluate_seconds=tested.seconds,
                evaluate_cpu_seconds=tested.cpu_seconds,
                edit_peak_bytes=tuned.facts["peak_bytes"],
                edit_device_peak_bytes=tuned.facts["device_peak_bytes"],
                evaluate_peak_bytes=tested.peak_bytes,
                evaluate_device_peak_bytes=tested.device_peak_bytes,
            ),
            provenance=experts.provenance(store, self.resolved),
        )
        text = record.with_record_id().model_dump_json()
        store.put(self, {}, {"record": text})
        return text

    def _touched(self, store: StageStore) -> dict[str, int]:
        """All images of train, and their labels."""
        sizes = {
            task: len(store.get(inputs).tensors["train_labels"])
            for task, inputs in self.experts.inputs.items()
        }
        return {
            f"{task}/train/{what}": n
            for task, n in sorted(sizes.items())
            for what in ("images", "labels")
        }


def facts_of_joint_training() -> MethodFacts:
    """What a record says of it: no method, since it is given data in place of experts."""
    commit, dirty = own_commit()
    return MethodFacts(
        name=JOINT,
        summary="Tune one model on the train split of all tasks: the upper bound of merging.",
        track="labelled",
        role="reference",
        paper="",
        bibtex="",
        hyperparameters={},
        origin="built-in",
        # Of the version: other words in this file make no other row.
        source_sha256=hashlib.sha256(f"{JOINT} {TuneJointly.version}".encode()).hexdigest(),
        commit=commit,
        dirty=dirty,
    )
