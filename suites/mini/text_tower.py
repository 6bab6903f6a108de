"""The text side of the image-text backbone: a fixed vocabulary, a word tokenizer, a small tower."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from taskmark.suites.mini.architecture import SMALL, part_of, read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

LENGTH = 16  # words of a prompt that are read
WIDTH = SMALL.width
PADDING = "<pad>"
UNKNOWN = "<unk>"

_COLOURS = "red orange yellow green blue purple pink brown white gray black cyan"
_NUMBERS = "zero one two three four five six seven eight nine many"
_SHAPES = (
    "circle triangle square diamond octagon hexagon star cross arrow bar ring heart moon drop bolt "
    "house tree tower mountain boat car bus truck van"
)
_PATTERNS = (
    "striped checked dotted wavy zigzag ringed crossed grid bricked noisy blotched triangular "
    "rayed spiral fading"
)
_BANDS = "stripe wave crossing corner rows loop fork"
_LETTERS = " ".join(f"letter-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
_OTHERS = (
    "a the and with on under of in above picture photo background ground sky pattern digit number "
    "thing small big fine coarse"
)

VOCABULARY: tuple[str, ...] = (
    PADDING,
    UNKNOWN,
    *_COLOURS.split(),
    *_NUMBERS.split(),
    *_SHAPES.split(),
    *_PATTERNS.split(),
    *_BANDS.split(),
    *_LETTERS.split(),
    *_OTHERS.split(),
)
"""Every word that the tower knows; its place here is its row in the embedding."""

_INDEX = {word: k for k, word in enumerate(VOCABULARY)}


def tokenize(prompts: Sequence[str]) -> Tensor:
    """Word indices [n, 16], padded with zeros; plurals read as singulars, strangers as <unk>."""
    rows = torch.zeros(len(prompts), LENGTH, dtype=torch.int64)
    for row, prompt in zip(rows, prompts, strict=True):
        words = re.findall(r"[a-z][a-z-]*", prompt.lower())[:LENGTH]
        for k, word in enumerate(words):
            row[k] = _INDEX.get(word, _INDEX.get(word.removesuffix("s"), _INDEX[UNKNOWN]))
    return rows


class TextTower(nn.Module):
    """Word and place embeddings, one transformer layer, mean over the words, a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(VOCABULARY), WIDTH, padding_idx=0)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        self.first_norm = nn.LayerNorm(WIDTH)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.mixed = nn.Linear(WIDTH, WIDTH)
        self.second_norm = nn.LayerNorm(WIDTH)
        self.inner = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.last_norm = nn.LayerNorm(WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """Word indices [n, 16] -> embeddings [n, 128], not normalised."""
        there = tokens != 0  # [n, 16]
        x = self.words(tokens) + self.places
        n, length, width = x.shape
        n_heads = 4
        q, k, v = (
            self.queries_keys_values(self.first_norm(x))
            .view(n, length, 3, n_heads, width // n_heads)
            .permute(2, 0, 3, 1, 4)
        )
        seen = there[:, None, None, :].expand(n, n_heads, length, length)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        x = x + self.mixed(mixed.transpose(1, 2).reshape(n, length, width))
        x = x + self.inner(self.second_norm(x))
        weight = there / there.sum(1, keepdim=True).clamp(min=1)
        pooled = (self.last_norm(x) * weight[:, :, None]).sum(1)
        return cast("Tensor", self.projection(pooled))


@lru_cache(maxsize=4)
def _tower(name: str) -> tuple[TextTower, float]:
    tensors = read_weights(name)
    if "logit_scale" not in tensors:
        raise ValueError(f"backbone {name!r} has no text tower; zero-shot heads need 'image_text'")
    with torch.random.fork_rng(devices=[]):
        tower = TextTower()
    tower.load_state_dict(part_of(tensors, "text."))
    return tower.eval(), float(tensors["logit_scale"])


def embed_prompts(name: str, prompts: Sequence[str]) -> Tensor:
    """Unit-length text embeddings, [n, 128]; words outside the vocabulary read as <unk>.

    Zero-shot logits are `logit_scale.exp() * normalize(features) @ embeddings.T`.

    Args:
        name: a backbone with a text tower.
        prompts: sentences.

    Raises:
        ValueError: the backbone is unknown or has no text tower.
    """
    tower, _ = _tower(name)
    with torch.no_grad():
        return normalize(tower(tokenize(prompts)), dim=-1)


def logit_scale(name: str) -> float:
    """The logarithm of the factor on the cosine similarity, as learnt in pre-training.

    Raises:
        ValueError: the backbone is unknown or has no text tower.
    """
    return _tower(name)[1]
