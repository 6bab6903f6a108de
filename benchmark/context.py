"""What every stage of a run needs to know, handed to each worker once."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from taskmark.contract.weights import WeightSpace
from taskmark.errors import TaskmarkError, unknown
from taskmark.inference.passes import Passes, fast_dtype
from taskmark.inference.readers import Setting
from taskmark.plugins.stand_ins import Limits, find_apart
from taskmark.store.artifacts import Store
from taskmark.store.checkpoints import CHECKPOINT_SECONDS
from taskmark.suite.provider import Provider, provider

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskmark.contract.recipe import Mode
    from taskmark.experts.foreign import ForeignExperts
    from taskmark.plugins.registry import Found
    from taskmark.records.record import Experts
    from taskmark.suite.definition import Suite


@dataclass(frozen=True, slots=True)
class Context:
    """The suite, the store, the device, and the plug-ins of a run."""

    suite: Suite
    store_root: Path
    device: str
    plugins: tuple[Path, ...] = ()
    time_limit: float = 3600.0  # seconds that one edit of a plug-in may take
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    experts: ForeignExperts | None = None  # those that are brought along instead of tuned
    found: Mapping[str, str] = field(default_factory=dict)  # see `taskmark.suite.resolving`

    @property
    def store(self) -> Store:
        """Where artifacts are."""
        return Store(self.store_root)

    @property
    def provider(self) -> Provider:
        """Who makes the suite's data and backbones."""
        return provider(self.suite.provider)

    def encoder(self, backbone: str) -> nn.Module:
        """The encoder of a backbone of the suite, with its own weights."""
        return self.provider.backbone(self.suite.backbones[backbone].weights)[1]

    def expert_facts(self, backbone: str, seed: int) -> Experts | None:
        """What a record says of experts that are brought along; None where the run tunes them.

        Args:
            backbone: theirs.
            seed: of their tuning.
        """
        return self.experts.facts(backbone, seed) if self.experts else None

    @property
    def passes(self) -> Passes:
        """How images are passed where nothing is chosen by the machine: as the protocol says."""
        return Passes(self.suite.protocol.batch_size)

    def fast_dtype(self, mode: Mode) -> torch.dtype | None:
        """What evaluation computes in where that moves no accuracy; None where that is float32.

        Derivatives along task vectors are taken in float32 everywhere.
        """
        return fast_dtype(torch.device(self.device)) if mode == "standard" else None

    def methods(self) -> dict[str, Found]:
        """All methods, with the run's plug-ins as their files are now."""
        contents = tuple(p.read_bytes() for p in self.plugins if p.is_file())
        return _methods(self.plugins, contents, Limits(self.time_limit, self.suite.provider))

    def setting(
        self,
        encoder: nn.Module,
        pretrained: torch.Tensor | None = None,
        passes: Passes | None = None,
    ) -> Setting:
        """How readers compute on an encoder.

        Args:
            encoder: it.
            pretrained: theta0, [P]; the encoder's own unless given.
            passes: how an evaluation passes images; as the protocol says unless given.
        """
        space, passes = WeightSpace.of(encoder), passes or self.passes
        return Setting(
            encoder=encoder,
            space=space,
            pretrained=space.flatten(dict(encoder.named_parameters()))
            if pretrained is None
            else pretrained,
            device=torch.device(self.device),
            batch_size=passes.batch_size,
            dtype=passes.dtype,
        )


@functools.cache
def _methods(
    plugins: tuple[Path, ...], _contents: tuple[bytes, ...], limits: Limits
) -> dict[str, Found]:
    return find_apart(plugins, limits)


def choose_device(name: str) -> str:
    """Turn what the user said into a device: "auto" takes a GPU where there is one.

    Raises:
        TaskmarkError: if the device is unknown or not on this machine.
    """
    kind = name.partition(":")[0]
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in ("cpu", "cuda"):
        raise unknown("device", name, ("auto", "cpu", "cuda"))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TaskmarkError(
            f"The device {name!r} cannot be read; write auto, cpu, cuda or cuda:1."
        ) from error
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TaskmarkError(
            f"The device {name!r} is not on this machine, which has "
            f"{torch.cuda.device_count()} CUDA devices; use --device cpu."
        )
    return name
