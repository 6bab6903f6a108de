"""The frozen head of a task: probed on features, read off a text tower, or the provider's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

from taskmark.contract.head import Head, TaskHead, read_head
from taskmark.engine.stage import Cost, Stage
from taskmark.inference.passes import Passes
from taskmark.inference.probing import probe
from taskmark.inference.readers import Setting
from taskmark.stages.model import Model
from taskmark.stages.task_inputs import Inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.engine.stage_store import StageStore
    from taskmark.store.artifacts import Artifact
    from taskmark.suite.provider import Provider
    from taskmark.suite.suite_file import Suite
    from taskmark.suites.task_data import Sizes

HeadKind = Literal["probed", "zero-shot", "own"]


@dataclass(frozen=True)
class MakeHead(Stage):
    """The head of a task under a backbone.

    Attributes:
        model: the backbone's network.
        inputs: of the task.
        kind: "probed" fits a linear head to features of the untouched network, "zero-shot" reads
            it off the text tower, "own" asks the provider.
        strengths: inverse L2 strengths that probing tries.
    """

    name = "heads"
    version = 1

    model: Model
    inputs: Inputs
    kind: HeadKind
    strengths: tuple[float, ...]

    @classmethod
    def of(cls, suite: Suite, backbone: str, task: str) -> MakeHead:
        """The head of a task of a suite under one of its backbones."""
        return cls(
            Model.of(suite, backbone),
            Inputs.of(suite, backbone, task),
            suite.backbones[backbone].heads,
            suite.protocol.probe_strengths,
        )

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.inputs.data.task

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.model.weights}: {self.kind} head of {self.task}"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """Probing reads train and validation once."""
        size = sizes.get(self.task)
        if self.kind != "probed" or size is None:
            return Cost()
        return Cost(self.model, reading=size.train + size.validation)

    def make(self, store: StageStore) -> None:
        """Make the head."""
        artifact = store.get(self.inputs)
        head = self._head(store, artifact)
        tensors, facts = head.stored()
        store.put(self, tensors, facts)

    def read(self, store: StageStore) -> TaskHead:
        """Read the head back."""
        artifact = store.get(self)
        return read_head(artifact.tensors, artifact.facts)

    def _head(self, store: StageStore, artifact: Artifact) -> TaskHead:
        if self.kind == "own":
            return self.model.source.head(self.model.weights, self.task)
        if self.kind == "zero-shot":
            return zero_shot(
                self.model.source,
                self.model.weights,
                artifact.facts["classes"],
                artifact.facts["templates"],
            )
        passes = Passes(self.inputs.batch_size)
        setting = Setting.of(self.model.encoder(), store.device, passes)
        return fit_probe(setting, artifact, self.strengths)


def zero_shot(provider: Provider, weights: str, classes: list[str], templates: list[str]) -> Head:
    """A head from class names: the mean text embedding over templates, of unit length.

    Logits are scale * cos(features, text), as in CLIP (Radford et al. 2021, arXiv 2103.00020).
    """
    rows = []
    for name in classes:
        prompts = [template.format(name) for template in templates]
        mean = provider.embed_prompts(weights, prompts).mean(0)
        rows.append(functional.normalize(mean, dim=0))
    weight = provider.logit_scale(weights) * torch.stack(rows)
    return Head(weight.float(), torch.zeros(len(weight)), normalise=True)


def fit_probe(setting: Setting, artifact: Artifact, strengths: tuple[float, ...]) -> Head:
    """A head fitted to features of the untouched backbone, its strength chosen on validation."""
    tensors = artifact.tensors
    return probe(
        _features(setting, tensors["train"]),
        tensors["train_labels"],
        _features(setting, tensors["validation"]),
        tensors["validation_labels"],
        n_classes=len(artifact.facts["classes"]),
        strengths=strengths,
    )


@torch.inference_mode()
def _features(setting: Setting, inputs: Tensor) -> Tensor:
    encoder = setting.encoder.to(setting.device)
    return torch.cat([rows.cpu() for rows in setting.pass_batches(encoder, inputs)])
