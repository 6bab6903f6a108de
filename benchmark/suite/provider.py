"""What a suite's provider must offer: data and backbones, by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from taskmark.contract.head import TaskHead
    from taskmark.suites.task_data import Sizes, TaskData


class Provider(Protocol):
    """The three things that a suite brings along.

    A backbone is a pair: a frozen stem, which turns a uint8 image batch [B, 3, H, W] into the
    encoder's inputs [B, ...], and the encoder that is edited, inputs -> features [B, D]. What the
    stem makes is computed once. Where nothing is frozen there is no stem: the encoder takes uint8
    images [B, 3, S, S] of any side S, and resizes and normalises them on its device by buffers, so
    that its parameters are those of the network alone.

    A provider may have `JOINT_TRAINING`, the names of suites whose runs tune one model on all
    tasks, too; their inputs have one shape, and their targets are classes.
    """

    def task(self, name: str) -> TaskData:
        """The data of a task."""

    def backbone(self, weights: str) -> tuple[nn.Module | None, nn.Module]:
        """The stem, if there is one, and the encoder, in evaluation mode.

        Their weights are those whose hash was checked.
        """

    def weights_sha256(self, weights: str) -> str:
        """The hash of the weights as they are on this machine."""

    def embed_prompts(self, weights: str, prompts: Sequence[str]) -> Tensor:
        """Text embeddings of unit length, [n, D]."""

    def logit_scale(self, weights: str) -> float:
        """What cosines are multiplied with."""

    def head(self, weights: str, task: str) -> TaskHead:
        """The provider's own head of a task; asked for where a backbone's heads are "own"."""

    def expert_weights(
        self, weights: str, path: Path, *, ignore: Sequence[str] = ()
    ) -> Mapping[str, Tensor]:
        """A fine-tuned checkpoint by the names of the encoder's parameters, all of them.

        The numbers are as precise as in the file; the harness makes them float32, and says so. It
        holds them against the encoder by the rules of `taskmark.contract.foreign_weights`, which a
        provider may do before.

        Args:
            weights: of the backbone that it was tuned from.
            path: a file of weights, or the index of several.
            ignore: patterns of names that the file may have besides.

        Raises:
            TaskmarkError: if the file cannot be read or is not an expert of the backbone.
        """


class Fetched(Protocol):
    """What a provider offers besides, if its data and weights are fetched from elsewhere."""

    def missing(self, tasks: Sequence[str], weights: Sequence[str]) -> str:
        """What of these is not on this machine, and how to get it; empty if all of it is.

        A sentence without its full stop.
        """

    def sizes(self, task: str) -> Sizes | None:
        """How large a task is, before it is fetched; None where nobody knows yet."""

    def untrained(self, weights: str) -> nn.Module:
        """The encoder without its weights, which need not be here; for how long it takes."""


def fetched(source: Provider) -> Fetched | None:
    """A provider whose data and weights are fetched; None of one that ships them."""
    return cast("Fetched", source) if hasattr(source, "missing") else None


def provider(address: str) -> Provider:
    """Import a provider: a module, or, as "MODULE:FOLDER", what its `open_suite` makes of a folder.

    Args:
        address: as a suite has it.
    """
    module = importlib.import_module(module_of(address))
    _, _, folder = address.partition(":")
    return cast("Provider", module.open_suite(folder) if folder else module)


def module_of(address: str) -> str:
    """The module of a provider."""
    return address.partition(":")[0]


def locate(address: str, file: Path) -> str:
    """The address of a provider whose folder counts from a suite file, with an absolute one."""
    module, colon, folder = address.partition(":")
    return f"{module}:{(file.parent / folder).resolve()}" if colon else address


def private_paths(address: str) -> tuple[Path, ...]:
    """Where the data is that the code of plug-ins must not read, beyond the provider's package."""
    source = provider(address) if ":" in address else None
    return tuple(source.private_paths()) if source and hasattr(source, "private_paths") else ()


def provider_version(address: str) -> int:
    """The version that a provider module states as VERSION; 1 where it states none."""
    return int(getattr(importlib.import_module(module_of(address)), "VERSION", 1))
