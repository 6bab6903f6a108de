"""The first stage: the data of a task, and what the frozen stem of a backbone makes of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from taskmark.errors import TaskmarkError
from taskmark.machine.memory import BatchSplitter
from taskmark.store.image_files import ImageFile
from taskmark.store.recording import note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.context import Context
    from taskmark.contract.given import PermittedSplit
    from taskmark.store.artifacts import Artifact
    from taskmark.suites.task_data import Split, TaskData


def fingerprint(data: TaskData) -> str:
    """SHA-256 over class names, templates and all splits of a task.

    Of a split that lies in a file, the digest that comes with it stands for images and labels, so
    that nothing is read.
    """
    total = hashlib.sha256(json.dumps([data.classes, data.templates]).encode())
    for split in (data.train, data.validation, data.test):
        if split.sha256 is not None:
            total.update(split.sha256.encode())
            continue
        total.update(str(split.images.shape).encode())
        total.update(split.images.tobytes())
        total.update(split.labels.tobytes())
    return total.hexdigest()


def make_data(context: Context, key: str, *, task: str) -> None:
    """Make a task's data, check its hash, and store test data apart from the rest.

    Images in a file are read once, to see that they are what they should be, and stay there.
    """
    data = context.provider.task(task)
    found, expected = fingerprint(data), context.suite.data_of(task).sha256
    if found != expected:
        raise TaskmarkError(
            f"The data of the task {task!r} has the hash {found[:12]}, but the suite "
            f"{context.suite.name} {context.suite.version} is frozen with {expected[:12]}; "
            "reinstall taskmark, and report the two hashes if that does not help."
        )
    if data.note:
        note(data.note)
    facts = {"classes": list(data.classes), "templates": list(data.templates)}
    splits = {"train": data.train, "validation": data.validation}
    for kind, own in (("data_test", {"test": data.test}), ("data", splits)):
        tensors = {f"{name}_labels": _labels(split) for name, split in own.items()}
        image_files = _image_files(own)
        tensors |= {n: _images(split) for n, split in own.items() if n not in image_files}
        context.store.put(kind, key, tensors, facts, image_files=image_files)


def make_inputs(context: Context, key: str, *, weights: str, data: str) -> None:
    """Run the frozen stem once over all images of a task.

    Where nothing is frozen, the encoder's inputs are the images themselves, wherever they lie.
    """
    stem, room = context.provider.backbone(weights)[0], BatchSplitter()
    for kind in ("data_test", "data"):
        images = context.store.get(kind, data)
        tensors, image_files = dict(images.tensors), dict(images.image_files)
        if stem is None:
            tensors = {name: own for name, own in tensors.items() if name not in image_files}
        else:
            frozen = stem.to(context.device)
            for split in _splits(images):
                tensors[split] = _passed(context, frozen, room, tensors[split])
            image_files = {}
        context.store.put(
            kind.replace("data", "inputs"), key, tensors, images.facts, image_files=image_files
        )


class SuiteData:
    """What a track permits of a run's tasks: train and validation, nothing of test.

    What a track does not permit is not in here, so there is nothing to be reached.
    """

    def __init__(self, inputs: Mapping[str, Artifact], *, track: str) -> None:
        self._tensors = {
            task: {
                name: tensor
                for name, tensor in artifact.tensors.items()
                if track == "labelled" or not _is_labels(name)
            }
            for task, artifact in inputs.items()
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


@torch.inference_mode()
def _passed(context: Context, stem: nn.Module, room: BatchSplitter, images: Tensor) -> Tensor:
    batches = torch.split(images, context.suite.protocol.batch_size)
    rows = (room.each(stem, batch.to(context.device)) for batch in batches)
    return torch.cat([part.cpu() for parts in rows for part in parts])


def _image_files(splits: Mapping[str, Split]) -> dict[str, ImageFile]:
    return {
        name: ImageFile.read(
            split.file, sha256=split.sha256, labels=f"{name}_labels", values=_labels(split)
        )
        for name, split in splits.items()
        if split.file is not None and split.sha256 is not None
    }


def _images(split: Split) -> Tensor:
    return torch.from_numpy(split.images).permute(0, 3, 1, 2).contiguous()  # [N, 3, H, W]


def _labels(split: Split) -> Tensor:
    return torch.from_numpy(np.array(split.labels, np.int64))  # a copy of what may be mapped
