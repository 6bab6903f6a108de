"""The second stage: one frozen head a task, probed on features or read off a text tower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from taskmark.contract.head import Head
from taskmark.inference.probing import probe

if TYPE_CHECKING:
    from taskmark.context import Context
    from taskmark.inference.readers import Setting
    from taskmark.store.artifacts import Artifact
    from taskmark.suite.provider import Provider


def make_head(context: Context, key: str, *, backbone: str, inputs: str) -> None:
    """Make the head of a task for a backbone."""
    facts = context.suite.backbones[backbone]
    artifact = context.store.get("inputs", inputs)
    if facts.heads == "zero-shot":
        head = zero_shot(
            context.provider,
            facts.weights,
            artifact.facts["classes"],
            artifact.facts["templates"],
        )
    else:
        encoder = context.encoder(backbone)
        head = probed(context.setting(encoder), artifact, context.suite.protocol.probe_strengths)
    context.store.put(
        "heads", key, {"weight": head.weight, "bias": head.bias}, {"normalise": head.normalise}
    )


def stored_head(context: Context, key: str) -> Head:
    """Read a head back."""
    artifact = context.store.get("heads", key)
    tensors = artifact.tensors
    return Head(tensors["weight"], tensors["bias"], bool(artifact.facts["normalise"]))


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


def probed(setting: Setting, artifact: Artifact, strengths: tuple[float, ...]) -> Head:
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
    return torch.cat([rows.cpu() for rows in setting.passed(encoder, inputs)])
