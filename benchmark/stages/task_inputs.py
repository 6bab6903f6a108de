"""The data of a task, and what the frozen stem of a backbone makes of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from taskmark.engine.stage import Cost, Stage, outside_key
from taskmark.errors import TaskmarkError
from taskmark.machine.out_of_memory import BatchSplitter
from taskmark.stages.model import Model
from taskmark.store.image_files import ImageFile
from taskmark.store.recording import note
from taskmark.suite.provider import provider, provider_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.contract.data_access import PermittedSplit
    from taskmark.engine.stage_store import StageStore
    from taskmark.store.artifacts import Artifact
    from taskmark.suite.provider import Provider
    from taskmark.suite.suite_file import Suite
    from taskmark.suites.task_data import Split, TaskData

_PIXELS_NDIM = 4  # [N, H, W, 3]
_LABELS, _PROMPTS = "_labels", "_prompts"  # how the names of tensors end that are no items


def fingerprint(data: TaskData) -> str:
    """SHA-256 over class names, templates and all splits of a task.

    Of a split that lies in a file, the digest that comes with it stands for items and labels, so
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
        if split.prompts is not None:
            total.update(split.prompts.tobytes())
    return total.hexdigest()


@dataclass(frozen=True)
class Data(Stage):
    """The items and labels of a task; test data is an artifact of its own."""

    name = "data"
    version = 1
    parts = ("data_test",)

    provider: str
    provider_version: int
    task: str
    sha256: str
    suite: str = outside_key("")

    @classmethod
    def of(cls, suite: Suite, task: str) -> Data:
        """The data of a task of a suite, be it one that is merged or one that only controls."""
        version = provider_version(suite.provider)
        sha256 = suite.data_of(task).sha256
        return cls(suite.provider, version, task, sha256, f"{suite.name} {suite.version}")

    @property
    def source(self) -> Provider:
        """The provider, imported."""
        return provider(self.provider)

    @property
    def label(self) -> str:
        """See Stage."""
        return f"reading the data of {self.task}"

    def make(self, store: StageStore) -> None:
        """Make the data and check its hash.

        Items in a file are read once, to see that they are what they should be, and stay there.

        Raises:
            TaskmarkError: if the data is not what the suite is frozen with.
        """
        data = self.source.task(self.task)
        found = fingerprint(data)
        if found != self.sha256:
            raise TaskmarkError(
                f"The data of the task {self.task!r} has the hash {found[:12]}, but the suite "
                f"{self.suite} is frozen with {self.sha256[:12]}; "
                "reinstall taskmark, and report the two hashes if that does not help."
            )
        if data.note:
            note(data.note)
        facts = {"classes": list(data.classes), "templates": list(data.templates)}
        splits = {"train": data.train, "validation": data.validation}
        for part, own in (("data_test", {"test": data.test}), ("data", splits)):
            tensors = {f"{name}_labels": _labels(split) for name, split in own.items()}
            files = _image_files(own)
            tensors |= {name: _items(split) for name, split in own.items() if name not in files}
            tensors |= {
                f"{name}{_PROMPTS}": torch.from_numpy(split.prompts)
                for name, split in own.items()
                if split.prompts is not None and name != "test"  # no method sees test at all
            }
            store.put(self, tensors, facts, part=part, image_files=files)


@dataclass(frozen=True)
class Inputs(Stage):
    """What the frozen stem makes of a task's items: the inputs of the encoder.

    Where nothing is frozen, the inputs are the items themselves, wherever they lie.
    """

    name = "inputs"
    version = 1
    parts = ("inputs_test",)

    model: Model
    data: Data
    batch_size: int

    @classmethod
    def of(cls, suite: Suite, backbone: str, task: str) -> Inputs:
        """The inputs of a task of a suite to one of its backbones."""
        return cls(Model.of(suite, backbone), Data.of(suite, task), suite.protocol.batch_size)

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.model.weights}: running the frozen stem on {self.data.task}"

    def cost(self, sizes: object) -> Cost:
        """The stem is a small part of a pass, and is not counted."""
        del sizes
        return Cost()

    def make(self, store: StageStore) -> None:
        """Run the stem once over all items."""
        stem, room = self.model.stem(), BatchSplitter()
        for part in ("data_test", "data"):
            items = store.get(self.data, part)
            tensors, files = dict(items.tensors), dict(items.image_files)
            if stem is None:
                tensors = {name: own for name, own in tensors.items() if name not in files}
            else:
                frozen = stem.to(store.device)
                for split in _splits(items):
                    tensors[split] = self._passed(store.device, frozen, room, tensors[split])
                files = {}
            kind = part.replace("data", "inputs")
            store.put(self, tensors, items.facts, part=kind, image_files=files)

    @torch.inference_mode()
    def _passed(self, device: str, stem: nn.Module, room: BatchSplitter, items: Tensor) -> Tensor:
        batches = torch.split(items, self.batch_size)
        rows = (room.each(stem, batch.to(device)) for batch in batches)
        return torch.cat([part.cpu() for parts in rows for part in parts])


class SuiteData:
    """What a track permits of a run's tasks: train and validation, nothing of test.

    What a track does not permit is not in here, so there is nothing to be reached. Where items hold
    their answers, what may be seen without labels are their prompts.
    """

    def __init__(self, inputs: Mapping[str, Artifact], *, track: str) -> None:
        self._tensors = {
            task: _permitted(artifact.tensors, labelled=track == "labelled")
            for task, artifact in inputs.items()
            if track != "weights"
        }

    def inputs(self, task: str, split: PermittedSplit) -> Tensor:
        """Inputs of the encoder, [N, ...]."""
        return self._tensors[task][split]

    def labels(self, task: str, split: PermittedSplit) -> Tensor:
        """Class indices, [N], int64; or what the task's head takes, [N, ...]."""
        return self._tensors[task][f"{split}{_LABELS}"]


def _permitted(tensors: Mapping[str, Tensor], *, labelled: bool) -> dict[str, Tensor]:
    """Items with their labels, or without and as prompts where items hold their answers."""
    items = {name: own for name, own in tensors.items() if not name.endswith(_PROMPTS)}
    if labelled:
        return items
    return {
        name: tensors.get(f"{name}{_PROMPTS}", own)
        for name, own in items.items()
        if not _is_labels(name)
    }


def _is_labels(name: str) -> bool:
    return name.endswith(_LABELS)


def _splits(artifact: Artifact) -> list[str]:
    return [name for name in artifact.tensors if not _is_labels(name)]


def _image_files(splits: Mapping[str, Split]) -> dict[str, ImageFile]:
    return {
        name: ImageFile.read(
            split.file, sha256=split.sha256, labels=f"{name}_labels", values=_labels(split)
        )
        for name, split in splits.items()
        if split.file is not None and split.sha256 is not None
    }


def _items(split: Split) -> Tensor:
    """Items as tensors: pixels become [N, 3, H, W], anything else stays as it is."""
    items = torch.from_numpy(split.images)
    is_pixels = items.dtype == torch.uint8 and items.ndim == _PIXELS_NDIM
    return items.permute(0, 3, 1, 2).contiguous() if is_pixels else items.contiguous()


def _labels(split: Split) -> Tensor:
    return torch.from_numpy(np.array(split.labels, np.int64))  # a copy of what may be mapped
