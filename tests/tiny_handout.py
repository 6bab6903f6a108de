"""What a method of the tiny suite is handed, from a store that is laid out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tiny_provider
import torch

from taskmark import WeightSpace
from taskmark.stages.editing import Handout
from taskmark.stages.task_vectors import space_facts
from taskmark.store.artifacts import Store

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

TASKS = ("hills", "lakes")
SPACE = WeightSpace.of(tiny_provider.Encoder())


def tiny_handout(root: Path, *, track: str = "weights", recipe: str = "standard") -> Handout:
    """All artifacts of two tasks, test data among them, and what names those for a method.

    Args:
        root: of the store.
        track: of the method.
        recipe: of the experts.
    """
    store = Store(root)
    source = torch.Generator().manual_seed(7)
    pretrained = 0.3 * torch.randn(SPACE.size, generator=source)
    vectors = 0.1 * torch.randn(len(TASKS), SPACE.size, generator=source)
    facts = {"tasks": list(TASKS), "space": space_facts(SPACE)}
    store.put("task_vectors", "f" * 64, {"pretrained": pretrained, "task_vectors": vectors}, facts)
    keys = {task: str(number) * 64 for number, task in enumerate(TASKS)}
    for task, key in keys.items():
        data = tiny_provider.task(task)
        permitted = _rows(train=data.train, validation=data.validation)
        store.put("inputs", key, permitted, {})
        store.put("inputs_test", key, _rows(test=data.test), {})
        head = {"weight": torch.randn(3, 8, generator=source), "bias": torch.zeros(3)}
        store.put("heads", key, head, {"kind": "linear", "normalise": task == "lakes"})
    return Handout(
        store=str(root),
        device="cpu",
        provider="tiny_provider",
        weights="plain",
        recipe=recipe,
        track=track,
        seed=3,
        tasks=TASKS,
        vectors="f" * 64,
        inputs=keys if track != "weights" else {},
        heads=keys,
        batch_size=64,
        gradient_budget=200,
    )


def _rows(**splits: tiny_provider.Split) -> dict[str, Tensor]:
    tensors = {}
    for name, split in splits.items():
        images = torch.from_numpy(split.images).permute(0, 3, 1, 2)
        tensors[name] = tiny_provider.Stem()(images)
        tensors[f"{name}_labels"] = torch.from_numpy(split.labels)
    return tensors
