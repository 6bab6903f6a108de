"""How tests read the tiny encoder, and which rows every run has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark import WeightSpace
from taskmark.engine.plan import Request
from taskmark.engine.stage_store import StageStore
from taskmark.inference.readers import Setting
from taskmark.plugins.method_choice import MethodChoice
from taskmark.store.artifacts import Store
from taskmark.suite.suite_file import read

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from taskmark.stages.expert_set import ExpertSet

REFERENCES = ("pretrained", "experts", "weight_averaging")


def setting_of(
    encoder: nn.Module, *, batch_size: int = 7, dtype: torch.dtype = torch.float32
) -> Setting:
    """How a reader computes on an encoder, whose own weights are theta0, in their own dtype."""
    pretrained = torch.cat([p.detach().reshape(-1) for p in encoder.parameters()]).to(dtype)
    return Setting(
        encoder, WeightSpace.of(encoder), pretrained.clone(), torch.device("cpu"), batch_size
    )


def request_of(suite: Path, *methods: str, **asked: object) -> Request:
    """A request for some methods on the tiny suite, on its default backbone unless it is said."""
    choices = tuple(MethodChoice.parse(name) for name in methods)
    return Request(read(suite), **{"backbones": ("plain",), "methods": choices, **asked})


def store_at(folder: Path, device: str = "cpu") -> StageStore:
    """The store of stages in a folder."""
    return StageStore(Store(folder), device)


def experts_of(request: Request, recipe: str = "standard") -> ExpertSet:
    """The expert set of a request under a recipe."""
    return next(own for own in request.expert_sets() if own.recipe == recipe)
