"""Weights from a file, fitted to a tower: every parameter is there, or a sentence says which."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

import torch

from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import layouts, towers
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from taskmark.suites.real.backbones.definition import Backbone

_CLASSIFIER = re.compile(r"^(head|head_dist|pre_logits)\.")
_PROJECTION = "head.weight"
_SHOWN = 4  # names in a sentence

_log = logging.getLogger(__name__)


def pretrained_tensors(backbone: Backbone, path: Path) -> dict[str, Tensor]:
    """The pre-trained weights of a tower, by timm's names, float32.

    Positions of another resolution are resampled to the tower's grid.

    Raises:
        TaskmarkError: if the file is not of this architecture.
    """
    tower = towers.build(backbone, device="meta")
    tensors = _tower_tensors(backbone, path)
    tensors = towers.resampled_positions(tower, tensors)
    fitted = _fitted(tensors, tower.state_dict(), path, {})
    return {name: tensor.float() for name, tensor in fitted.items()}


def expert_tensors(
    backbone: Backbone, path: Path, pretrained: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The weights of a fine-tuned tower, by timm's names, as precise as in the file.

    Args:
        backbone: that it was tuned from.
        path: a file in the layout of open_clip, of timm, or of transformers' CLIPVisionModel, which
            has no projection: who tuned that left the pre-trained one as it was.
        pretrained: weights of the backbone, for the projection.

    Raises:
        TaskmarkError: if it is of another architecture, has another activation, or numbers that are
            not finite.
    """
    _require_activation(backbone, path)
    tensors = _tower_tensors(backbone, path)
    kept = {_PROJECTION: pretrained[_PROJECTION]} if backbone.has_text else {}
    fitted = _fitted(tensors, pretrained, path, kept)
    for name, tensor in fitted.items():
        if not torch.isfinite(tensor).all():
            raise TaskmarkError(
                f"The weights {name} in {path} are not all finite; the expert diverged, tune it "
                "anew."
            )
    return fitted


def _tower_tensors(backbone: Backbone, path: Path) -> dict[str, Tensor]:
    named = layouts.by_names_of_timm(read_tensors(path))
    # A classifier, or a projection that the backbone does without.
    heads = [] if backbone.has_text else [n for n in named.tensors if _CLASSIFIER.match(n)]
    if unused := (*named.unused, *heads):
        _log.info("not used of %s: %s", path, ", ".join(unused))
    return {name: tensor for name, tensor in named.tensors.items() if name not in heads}


def _fitted(
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    path: Path,
    instead: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Tensors in the order of those that are wanted, of the same names and shapes."""
    tensors = {**instead, **tensors}
    wrong = [
        f"{name} is {_shape(tensors[name])} and not {_shape(wanted[name])}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    faults = [
        _listed("missing", [name for name in wanted if name not in tensors]),
        _listed("unexpected", [name for name in tensors if name not in wanted]),
        _listed("of another shape", wrong),
        _listed(
            "not of floating point", [n for n, t in tensors.items() if not t.is_floating_point()]
        ),
    ]
    if told := "; ".join(fault for fault in faults if fault):
        raise TaskmarkError(
            f"The weights in {path} are of another architecture than the backbone ({told}); bring "
            "those that were tuned from it."
        )
    return {name: tensors[name].contiguous() for name in wanted}


def _listed(fault: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{fault}: {', '.join(names[:_SHOWN])}{more}" if names else ""


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(side) for side in tensor.shape) or "a number"


def _require_activation(backbone: Backbone, path: Path) -> None:
    """Hold the activation against the configuration that transformers lays beside its weights."""
    beside = path.with_name("config.json")
    try:
        told = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    except (OSError, ValueError) as error:
        raise TaskmarkError(f"{beside} is damaged ({error}); get it anew.") from error
    vision = told.get("vision_config", told) if isinstance(told, dict) else {}
    activation = vision.get("hidden_act") if isinstance(vision, dict) else None
    if activation is not None and (activation == "quick_gelu") != backbone.quick_gelu:
        raise TaskmarkError(
            f"The expert in {path} computes {activation}, as {beside.name} says, and its backbone "
            "does not; bring one that was tuned from this backbone."
        )
