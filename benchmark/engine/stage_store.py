"""The store as stages see it: artifacts by the stage that makes them, on one device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from taskmark.machine.devices import kind_of
from taskmark.store.keys import artifact_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.engine.stage import Stage
    from taskmark.store.artifacts import Artifact, Store
    from taskmark.store.image_files import ImageFile
    from taskmark.store.tensor_file import Written


@dataclass(frozen=True, slots=True)
class StageStore:
    """Artifacts by stage.

    Attributes:
        store: the artifacts by kind and key.
        device: where stages compute, such as "cpu" or "cuda:1".
    """

    store: Store
    device: str

    @property
    def torch_device(self) -> torch.device:
        """The device, for torch."""
        return torch.device(self.device)

    def key(self, stage: Stage) -> str:
        """The key of a stage's artifact, which differs between kinds of device as results do."""
        return artifact_key(stage.identity, kind_of(self.device))

    def has(self, stage: Stage) -> bool:
        """Whether everything that the stage makes is stored."""
        key = self.key(stage)
        return all(self.store.has(kind, key) for kind in (stage.name, *stage.parts))

    def get(self, stage: Stage, part: str | None = None) -> Artifact:
        """Read what a stage made, or one of its further parts.

        Raises:
            CorruptArtifactError: if the bytes are not what was written.
            TaskmarkError: if it was never made.
        """
        return self.store.get(part or stage.name, self.key(stage))

    def put(
        self,
        stage: Stage,
        tensors: Mapping[str, Written],
        facts: Mapping[str, Any],
        *,
        part: str | None = None,
        image_files: Mapping[str, ImageFile] | None = None,
    ) -> None:
        """Store what a stage made, or one of its further parts.

        Raises:
            TaskmarkError: if the disk is full or the folder cannot be written.
        """
        self.store.put(part or stage.name, self.key(stage), tensors, facts, image_files=image_files)
