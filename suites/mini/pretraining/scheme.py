"""What a pre-training scheme is: a network, what it adds to it, and its loss on a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from taskmark.suites.mini.architecture import BACKBONES, Encoder, Size, Stem, build
from taskmark.suites.mini.pretraining.images import SEED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmark.suites.mini.pretraining.images import Block

Batch = dict[str, Tensor]


class Scheme(nn.Module):
    """A network under a pre-training scheme.

    Attributes:
        name: of the scheme, and of the backbone that comes of it.
        n_steps: how long it trains, in batches of `batch_size`.
        batch_size: images a step.
        learning_rate: at its highest.
        decay_from: share of the steps after which the learning rate falls.
        starts_from: the scheme whose trained network it goes on with or learns from, if any.
        digits: whether digits stand among the glyphs it sees.
        stream_seed: added to the seed of the image stream.
        view: which view of the things in the stream it sees, where it sees several.
        size: of its network.
    """

    name = ""
    n_steps = 0
    batch_size = 128
    learning_rate = 2e-3
    decay_from = 0.5
    starts_from: str | None = None
    digits = False
    stream_seed = 0
    view: int | None = None

    size: Size
    stem: Stem
    encoder: Encoder

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.size = BACKBONES[self.name]
        self.stem, self.encoder = build(seed, self.size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.add_parts()

    @property
    def seed(self) -> int:
        """Of the image stream."""
        return SEED + self.stream_seed

    def add_parts(self) -> None:
        """Make what the scheme needs beside stem and encoder."""

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what is shipped of the scheme named by `starts_from`."""
        self.load_state_dict(tensors, strict=False)

    def labels(self, block: Block, number: int) -> Batch:
        """What the loss needs beside the images, for a whole block, first axis N."""
        del block, number
        return {}

    def loss(self, images: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss on one batch.

        Args:
            images: uint8 [B, 3, 32, 32].
            batch: the rows of `labels` for these images.
            generator: source of augmentations and masks.
        """
        raise NotImplementedError

    def shipped_tensors(self) -> dict[str, Tensor]:
        """The tensors that make up the backbone's file."""
        parts = {"stem": self.stem, "encoder": self.encoder}
        return {
            f"{prefix}.{name}": tensor.detach().contiguous()
            for prefix, module in parts.items()
            for name, tensor in module.state_dict().items()
        }
