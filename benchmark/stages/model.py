"""The pre-trained model that a stage computes with, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskmark.suite.provider import provider, provider_version

if TYPE_CHECKING:
    from torch import nn

    from taskmark.suite.provider import Provider
    from taskmark.suite.suite_file import Suite


@dataclass(frozen=True, slots=True)
class Model:
    """A backbone's pre-trained network.

    Attributes:
        provider: the module that makes it.
        provider_version: of that module, raised whenever it makes something else.
        weights: its name at the provider.
        sha256: of the weights.
    """

    provider: str
    provider_version: int
    weights: str
    sha256: str

    @classmethod
    def of(cls, suite: Suite, backbone: str) -> Model:
        """The network of a backbone of a suite."""
        facts = suite.backbones[backbone]
        version = provider_version(suite.provider)
        return cls(suite.provider, version, facts.weights, facts.sha256)

    @property
    def source(self) -> Provider:
        """The provider, imported."""
        return provider(self.provider)

    def stem(self) -> nn.Module | None:
        """The frozen part that turns items into the encoder's inputs; None where there is none."""
        return self.source.backbone(self.weights)[0]

    def encoder(self) -> nn.Module:
        """The part that is edited, with its pre-trained weights, not shared with anybody."""
        return self.source.backbone(self.weights)[1]
