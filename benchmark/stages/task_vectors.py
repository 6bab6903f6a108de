"""The task vectors of all experts, laid into one file beside theta0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from taskmark.contract.foreign_weights import FLOAT32_ROUNDOFF
from taskmark.contract.weights import Part, WeightSpace
from taskmark.engine.stage import Cost, Stage
from taskmark.stages.expert_stages import ReadExpert, Tune
from taskmark.store.tensor_file import Rows, Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.engine.stage_store import StageStore
    from taskmark.stages.model import Model
    from taskmark.store.artifacts import Artifact

Expert = Tune | ReadExpert


@dataclass(frozen=True)
class TaskVectors(Stage):
    """theta0 [P] and the task vectors [T, P], to be memory-mapped by every method."""

    name = "task_vectors"
    version = 1

    model: Model
    experts: Mapping[str, Expert]

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.model.weights}: laying out the task vectors"

    def cost(self, sizes: object) -> Cost:
        """All vectors are written, one at a time."""
        del sizes
        return Cost(self.model, stored=len(self.experts) + 1)

    def make(self, store: StageStore) -> None:
        """Write theta0, then each task vector."""
        encoder = self.model.encoder()
        space = WeightSpace.of(encoder)
        pretrained = space.flatten(dict(encoder.named_parameters()))
        stored = {task: store.get(expert) for task, expert in self.experts.items()}
        facts = {
            "tasks": list(stored),
            "seconds": sum(a.facts["seconds"] for a in stored.values()),
            "cpu_seconds": sum(a.facts["cpu_seconds"] for a in stored.values()),
            "space": space_facts(space),
            "precision": max(a.facts.get("precision", FLOAT32_ROUNDOFF) for a in stored.values()),
        }
        # Together the vectors may be larger than memory: each is let go of once it is written.
        one_by_one = (stored.pop(task).tensors["vector"] for task in self.experts)
        shape = (len(self.experts), len(pretrained))
        tensors: dict[str, Written] = {
            "pretrained": pretrained,
            "task_vectors": Rows(shape, torch.float32, one_by_one),
        }
        store.put(self, tensors, facts)


def space_facts(space: WeightSpace) -> list[tuple[str, int, tuple[int, ...], int | None]]:
    """A layout as JSON values: the fact "space" of stored task vectors."""
    return [(part.name, part.start, part.shape, part.heads) for part in space]


def space_of(vectors: Artifact) -> WeightSpace:
    """The layout of stored task vectors."""
    return WeightSpace(
        tuple(
            Part(name, start, tuple(shape), heads)
            for name, start, shape, heads in vectors.facts["space"]
        )
    )
