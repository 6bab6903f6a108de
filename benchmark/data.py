"""The first stage: the data of a task, and what the frozen stem of a backbone makes of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from taskmark.errors import TaskmarkError
from taskmark.memory import Room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.context import Context
    from taskmark.given import PermittedSplit
    from taskmark.store import Artifact, Store
    from taskmark.suites.task_data import Split, TaskData


def fingerprint(data: TaskData) -> str:
    """SHA-256 over class names, templates and all splits of a task."""
    total = hashlib.sha256(json.dumps([data.classes, data.templates]).encode())
    for split in (data.train, data.validation, data.test):
        total.update(str(split.images.shape).encode())
        total.update(split.images.tobytes())
        total.update(split.labels.tobytes())
    return total.hexdigest()


def make_data(context: Context, key: str, *, task: str) -> None:
    """Make a task's data, check its hash, and store test data apart from the rest."""
    data = context.provider.task(task)
    found, expected = fingerprint(data), context.suite.tasks[task].sha256
    if found != expected:
        raise TaskmarkError(
            f"The data of the task {task!r} has the hash {found[:12]}, but the suite "
            f"{context.suite.name} {context.suite.version} is frozen with {expected[:12]}; "
            "reinstall taskmark, and report the two hashes if that does not help."
        )
    facts = {"classes": list(data.classes), "templates": list(data.templates)}
    context.store.put("data_test", key, _tensors("test", data.test), facts)
    permitted = {**_tensors("train", data.train), **_tensors("validation", data.validation)}
    context.store.put("data", key, permitted, facts)


def make_inputs(context: Context, key: str, *, weights: str, data: str) -> None:
    """Run the frozen stem once over all images of a task."""
    stem, room = context.provider.backbone(weights)[0].to(context.device), Room()
    for kind in ("data_test", "data"):
        images = context.store.get(kind, data)
        tensors = dict(images.tensors)
        with torch.inference_mode():
            for split in _splits(images):
                batches = torch.split(tensors[split], context.suite.protocol.batch_size)
                rows = (room.each(stem, batch.to(context.device)) for batch in batches)
                tensors[split] = torch.cat([part.cpu() for parts in rows for part in parts])
        context.store.put(kind.replace("data", "inputs"), key, tensors, images.facts)


class SuiteData:
    """What a track permits of a run's tasks: train and validation, nothing of test.

    What a track does not permit is not in here, so there is nothing to be reached.
    """

    def __init__(self, store: Store, keys: Mapping[str, str], *, track: str) -> None:
        self._tensors = {
            task: {
                name: tensor
                for name, tensor in store.get("inputs", key).tensors.items()
                if track == "labelled" or not _is_labels(name)
            }
            for task, key in keys.items()
            if track != "weights"
        }

    def inputs(self, task: str, split: PermittedSplit) -> Tensor:
        """Inputs of the encoder, [N, ...]."""
        return self._tensors[task][split]

    def labels(self, task: str, split: PermittedSplit) -> Tensor:
        """Class indices, [N], int64."""
        return self._tensors[task][f"{split}_labels"]


def _is_labels(name: str) -> bool:
    return name.endswith("_labels")


def _splits(artifact: Artifact) -> list[str]:
    return [name for name in artifact.tensors if not _is_labels(name)]


def _tensors(name: str, split: Split) -> dict[str, Tensor]:
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2).contiguous()  # [N, 3, H, W]
    return {name: images, f"{name}_labels": torch.from_numpy(split.labels)}
