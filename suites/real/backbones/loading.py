"""Backbones by name: the encoder, the hash of its weights, and experts tuned from it."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suites.real.backbones import tower_weights, towers, weight_lookup
from taskmark.suites.real.backbones.backbone_lock import read_lock
from taskmark.suites.real.backbones.encoder import TowerEncoder
from taskmark.suites.real.backbones.public_backbones import PublicBackbone, definition, definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


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
    found = tower_weights.expert_tensors(backbone, path, pretrained, ignore=ignore)
    return {f"tower.{name}": tensor for name, tensor in found.items()}


def _pretrained(weights: str, backbone: PublicBackbone) -> dict[str, Tensor]:
    return tower_weights.pretrained_tensors(backbone, weight_lookup.checked(weights))


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
