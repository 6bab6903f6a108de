"""The suite's network: a convolutional stem that stays frozen, a small transformer that is tuned.

Images [B, 3, 32, 32] -> `Stem` -> tokens [B, 16, D] -> `Encoder` -> features [B, D].
The stem's tokens depend on nothing that an expert tunes, so they are computed once and kept.
One architecture in two sizes: all backbones are of the small one, but for one that is larger.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors.torch import load as parse_safetensors
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Size:
    """Width D of tokens and features, number of transformer blocks, attention heads a block."""

    width: int
    depth: int
    heads: int


SMALL = Size(width=128, depth=2, heads=4)
LARGE = Size(width=160, depth=3, heads=5)

N_TOKENS = 16
WEIGHTS = Path(__file__).parent / "weights"
BACKBONES: dict[str, Size] = {
    "image_text": SMALL,
    "supervised": SMALL,
    "supervised_large": LARGE,
    "contrastive": SMALL,
    "masked": SMALL,
    "random": SMALL,
}
"""What is shipped, and in which size."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity, each behind group normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_norm = nn.GroupNorm(8, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        inner = self.first(torch.relu(self.first_norm(x)))
        return cast("Tensor", x + self.second(torch.relu(self.second_norm(inner))))


class ConvolutionalEmbedding(nn.Module):
    """Strided convolutions in place of the patch embedding: 32 x 32 pixels to 4 x 4 tokens."""

    def __init__(
        self, in_chans: int = 3, embed_dim: int = SMALL.width, **_patch_options: object
    ) -> None:
        super().__init__()
        self.num_patches = N_TOKENS
        self.grid_size = (4, 4)
        self.layers = nn.Sequential(
            nn.Conv2d(in_chans, 32, 3, stride=2, padding=1),  # [B, 32, 16, 16]
            ResidualBlock(32),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),  # [B, 64, 8, 8]
            ResidualBlock(64),
            nn.Conv2d(64, embed_dim, 3, stride=2, padding=1),  # [B, D, 4, 4]
            nn.GroupNorm(8, embed_dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, 32, 32] -> [B, 16, D]."""
        return cast("Tensor", self.layers(x).flatten(2).transpose(1, 2))


class Stem(nn.Module):
    """Pixel normalisation, convolutional embedding and positions: images to tokens."""

    def __init__(self, transformer: VisionTransformer) -> None:
        super().__init__()
        self.embedding = transformer.patch_embed
        self.positions = cast("nn.Parameter", transformer.pos_embed)

    def forward(self, images: Tensor) -> Tensor:
        """Pixels 0..255, uint8 or float, [B, 3, 32, 32] -> tokens [B, 16, D]."""
        pixels = images.to(self.positions.dtype)
        return cast("Tensor", self.embedding((pixels - 127.5) / 64.0) + self.positions)


class Encoder(nn.Module):
    """Transformer blocks, average pool and final norm: tokens to features. What experts tune."""

    def __init__(self, transformer: VisionTransformer) -> None:
        super().__init__()
        self.blocks = transformer.blocks
        self.norm = transformer.norm if _has_weights(transformer.norm) else transformer.fc_norm

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, 16, D] -> [B, D]."""
        return cast("Tensor", self.norm(self.blocks(tokens).mean(1)))


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def build(seed: int = 0, size: Size = SMALL) -> tuple[Stem, Encoder]:
    """A freshly initialised network in eval mode; the global random state is left alone.

    Args:
        seed: fixes every weight.
        size: of the network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = VisionTransformer(
            img_size=32,
            patch_size=8,
            embed_dim=size.width,
            depth=size.depth,
            num_heads=size.heads,
            num_classes=0,
            class_token=False,
            global_pool="avg",
            embed_layer=ConvolutionalEmbedding,
        )
    return Stem(transformer).eval(), Encoder(transformer).eval()


def load(name: str) -> tuple[Stem, Encoder]:
    """A shipped backbone in eval mode.

    Args:
        name: one of `BACKBONES`.

    Raises:
        ValueError: the name is unknown, or the file is not the one whose hash the suite froze.
    """
    tensors = read_weights(name)
    stem, encoder = build(size=BACKBONES[name])
    stem.load_state_dict(part_of(tensors, "stem."))
    encoder.load_state_dict(part_of(tensors, "encoder."))
    return stem.eval(), encoder.eval()


def read_weights(name: str) -> dict[str, Tensor]:
    """A backbone's tensors as shipped, their SHA-256 checked.

    Raises:
        ValueError: the name is unknown, or the file is not the one whose hash the suite froze.
    """
    frozen = frozen_hashes()
    if name not in frozen:
        raise ValueError(f"no backbone {name!r} in the suite mini; choose from {sorted(frozen)}")
    path = WEIGHTS / f"{name}.safetensors"
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != frozen[name]:
        raise ValueError(
            f"{path} has SHA-256 {found}, but the suite froze {frozen[name]}; restore the file "
            f"from the distribution, or keep a rebuilt one outside the suite's folder"
        )
    return parse_safetensors(content)


def frozen_hashes() -> dict[str, str]:
    """SHA-256 of each shipped weight file, by backbone."""
    hashes: dict[str, str] = json.loads((WEIGHTS / "hashes.json").read_text())
    return hashes


def part_of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with the prefix, which is taken off."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
