"""Backbones by name: the encoder, the hash of its weights, and experts tuned from it."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
from typing import TYPE_CHECKING

from taskmark.contract.foreign_weights import check_finite, fit_weights
from taskmark.contract.tensor_names import plain_names
from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import layouts, towers, weight_lookup
from taskmark.suites.real.backbones.backbone_lock import read_lock
from taskmark.suites.real.backbones.encoder import TowerEncoder
from taskmark.suites.real.backbones.public_backbones import PublicBackbone, definition, definitions
from taskmark.suites.weight_files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


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


def names() -> list[str]:
    """All backbones."""
    return list(definitions())


def load(weights: str) -> TowerEncoder:
    """The encoder of a backbone in eval mode; nothing is fetched.

    Args:
        weights: name of the backbone.

    Raises:
        TaskmarkError: if there is none of that name, its weights are not on this machine, are not
            what is locked, or do not fit.
    """
    backbone = definition(weights)
    if backbone.seed is not None:
        tower = towers.draw_weights(backbone)
        _require_locked(weights, sha256_of(tower))
    else:
        tower = towers.holding(_pretrained(weights, backbone), backbone)
    return TowerEncoder(
        tower, resolution=backbone.resolution, mean=backbone.mean, std=backbone.std
    ).eval()


def weights_sha256(weights: str) -> str:
    """The hash of a backbone's weights as they are on this machine.

    Of a file its SHA-256; of weights that are drawn that over names and numbers.

    Raises:
        TaskmarkError: if there is no backbone of that name, or its file is not here.
    """
    backbone = definition(weights)
    if backbone.seed is None:
        return weight_lookup.digest(weight_lookup.find(weights))
    return _drawn_sha256(backbone.model_dump_json())


def expert_weights(weights: str, path: Path, *, ignore: Sequence[str] = ()) -> Mapping[str, Tensor]:
    """The weights of an expert that somebody else tuned, by the names of the encoder's parameters.

    Args:
        weights: name of the backbone that it was tuned from.
        path: a file in the layout of open_clip, timm or transformers' CLIPVisionModel.
        ignore: patterns of names that it may have besides, in timm's spelling.

    Returns:
        Every parameter of the encoder, in its order, as precise as in the file.

    Raises:
        TaskmarkError: if the file is not an expert of this backbone.
    """
    backbone = definition(weights)
    if backbone.seed is None:
        pretrained: Mapping[str, Tensor] = _pretrained(weights, backbone)
    else:
        pretrained = towers.draw_weights(backbone).state_dict()
    found = expert_tensors(backbone, path, pretrained, ignore=ignore)
    return {f"tower.{name}": tensor for name, tensor in found.items()}


def _pretrained(weights: str, backbone: PublicBackbone) -> dict[str, Tensor]:
    return pretrained_tensors(backbone, weight_lookup.checked(weights))


def _require_locked(weights: str, found: str) -> None:
    lock = read_lock().get(weights)
    if lock is not None and found != lock.sha256:
        raise TaskmarkError(
            f"The weights of {weights!r} that this machine draws have the SHA-256 {found}, but "
            f"{lock.sha256} is locked; use the versions of torch and timm with which it was locked."
        )


@functools.lru_cache(maxsize=8)
def _drawn_sha256(described: str) -> str:
    return sha256_of(towers.draw_weights(PublicBackbone.model_validate_json(described)))


def sha256_of(tower: nn.Module) -> str:
    """SHA-256 over the names and numbers of a tower."""
    whole = hashlib.sha256()
    for name, tensor in tower.state_dict().items():
        whole.update(name.encode())
        whole.update(tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()
