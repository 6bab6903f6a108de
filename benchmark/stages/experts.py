"""The third stage: experts, and the task vectors they leave."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from taskmark.machine.costs import measure
from taskmark.stages.heads import stored_head
from taskmark.stages.tuning import tune
from taskmark.store.checkpoints import Checkpoints
from taskmark.store.tensor_file import Rows, Written

if TYPE_CHECKING:
    from taskmark.context import Context
    from taskmark.contract.head import Head
    from taskmark.contract.recipe import Mode


@dataclass(frozen=True, slots=True)
class Stand:
    """The keys of all that a method stands on, for one backbone, recipe and expert seed.

    `inputs` and `heads` are keyed by task, in the suite's order.
    """

    backbone: str
    recipe: str
    expert_seed: int
    inputs: dict[str, str]
    heads: dict[str, str]
    vectors: str
    normaliser: str

    def keys(self) -> tuple[str, ...]:
        """The keys of all artifacts in it."""
        return (*self.inputs.values(), *self.heads.values(), self.vectors, self.normaliser)

    def head(self, context: Context, task: str) -> Head:
        """The suite's head of a task."""
        return stored_head(context, self.heads[task])


def expert_seed(seed: int, task: str) -> int:
    """A seed for one expert, so that tasks do not share an order of batches."""
    return int.from_bytes(hashlib.sha256(f"{seed} {task}".encode()).digest()[:7], "big")


def make_expert(
    context: Context,
    key: str,
    *,
    backbone: str,
    task: str,
    mode: Mode,
    seed: int,
    inputs: str,
    head: str,
) -> None:
    """Tune one expert and keep its task vector."""
    encoder = context.encoder(backbone)
    setting = context.setting(encoder)
    tensors = context.store.get("inputs", inputs).tensors
    checkpoints = Checkpoints(context.store, key, interval=context.checkpoint_seconds)
    with measure() as spent:
        expert = tune(
            encoder,
            setting.space,
            setting.pretrained,
            stored_head(context, head),
            tensors["train"],
            tensors["train_labels"],
            mode=mode,
            tuning=context.suite.tuning(task, mode),
            generator=torch.Generator().manual_seed(expert_seed(seed, task)),
            device=setting.device,
            checkpoints=checkpoints,
        )
    facts = {
        "losses": expert.losses,
        "seconds": checkpoints.seconds + spent.seconds,
        "cpu_seconds": checkpoints.cpu_seconds + spent.cpu_seconds,
    }
    context.store.put("experts", key, {"vector": expert.vector}, facts)
    checkpoints.discard()


def stack_vectors(context: Context, key: str, *, backbone: str, experts: dict[str, str]) -> None:
    """Lay theta0 and all task vectors into one file, to be memory-mapped by every method."""
    encoder = context.encoder(backbone)
    pretrained = context.setting(encoder).pretrained
    stored = {task: context.store.get("experts", expert) for task, expert in experts.items()}
    facts = {
        "tasks": list(stored),
        "seconds": sum(a.facts["seconds"] for a in stored.values()),
        "cpu_seconds": sum(a.facts["cpu_seconds"] for a in stored.values()),
    }
    # Together the vectors may be larger than memory: each is let go of once it is written.
    one_by_one = (stored.pop(task).tensors["vector"] for task in experts)
    shape = (len(experts), len(pretrained))
    tensors: dict[str, Written] = {
        "pretrained": pretrained,
        "task_vectors": Rows(shape, torch.float32, one_by_one),
    }
    context.store.put("vectors", key, tensors, facts)
