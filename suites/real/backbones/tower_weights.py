"""Weights from a file, fitted to a tower: every parameter is there, or a sentence says which."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

from taskmark.contract.foreign_weights import check_finite, fit_weights
from taskmark.contract.tensor_names import plain_names
from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import layouts, towers
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from taskmark.suites.real.backbones.public_backbones import PublicBackbone

_CLASSIFIER = re.compile(r"^(head|head_dist|pre_logits)\.")
_PROJECTION = "head.weight"

_log = logging.getLogger(__name__)


def pretrained_tensors(backbone: PublicBackbone, path: Path) -> dict[str, Tensor]:
    """The pre-trained weights of a tower, by timm's names, float32.

    Positions of another resolution are resampled to the tower's grid.

    Raises:
        TaskmarkError: if the file is not of this architecture.
    """
    tower = towers.build(backbone, device="meta")
    tensors = _tower_tensors(backbone, path)
    tensors = towers.resampled_positions(tower, tensors)
    found = _fitted(tensors, tower.state_dict(), path)
    return {name: tensor.float() for name, tensor in found.items()}


def expert_tensors(
    backbone: PublicBackbone,
    path: Path,
    pretrained: Mapping[str, Tensor],
    *,
    ignore: Sequence[str] = (),
) -> dict[str, Tensor]:
    """The weights of a fine-tuned tower, by timm's names, as precise as in the file.

    Args:
        backbone: that it was tuned from.
        path: a file in the layout of open_clip, of timm, or of transformers' CLIPVisionModel, which
            has no projection: who tuned that left the pre-trained one as it was.
        pretrained: weights of the backbone, for the projection.
        ignore: patterns of names that the file may have besides.

    Raises:
        TaskmarkError: if it is of another architecture, has another activation, or numbers that are
            not finite.
    """
    _require_activation(backbone, path)
    tensors = _tower_tensors(backbone, path)
    kept = {_PROJECTION: pretrained[_PROJECTION]} if backbone.has_text else {}
    found = _fitted({**kept, **tensors}, pretrained, path, ignore)
    check_finite(found, f"the file {str(path)!r}")
    return found


def _tower_tensors(backbone: PublicBackbone, path: Path) -> dict[str, Tensor]:
    named = layouts.by_names_of_timm(plain_names(read_tensors(path)))
    # A classifier, or a projection that the backbone does without.
    heads = [] if backbone.has_text else [n for n in named.tensors if _CLASSIFIER.match(n)]
    if unused := (*named.unused, *heads):
        _log.info("not used of %s: %s", path, ", ".join(unused))
    return {name: tensor for name, tensor in named.tensors.items() if name not in heads}


def _fitted(
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    path: Path,
    ignore: Sequence[str] = (),
) -> dict[str, Tensor]:
    shapes = {name: tensor.shape for name, tensor in wanted.items()}
    found = fit_weights(
        tensors, shapes, what=f"the file {str(path)!r}", of="the backbone", ignore=ignore
    )
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _require_activation(backbone: PublicBackbone, path: Path) -> None:
    """Hold the activation against the configuration that transformers lays beside its weights."""
    beside = path.with_name("config.json")
    try:
        config = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    except (OSError, ValueError) as error:
        raise TaskmarkError(f"{beside} is damaged ({error}); get it anew.") from error
    vision = config.get("vision_config", config) if isinstance(config, dict) else {}
    activation = vision.get("hidden_act") if isinstance(vision, dict) else None
    if activation is not None and (activation == "quick_gelu") != backbone.quick_gelu:
        raise TaskmarkError(
            f"The expert in {path} computes {activation}, as {beside.name} says, and its backbone "
            "does not; bring one that was tuned from this backbone."
        )
