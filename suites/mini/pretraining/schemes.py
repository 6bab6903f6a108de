"""The pre-training schemes, one for each backbone that is shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
    layer_norm,
    normalize,
)

from taskmark.suites.mini.architecture import N_TOKENS, build, part_of
from taskmark.suites.mini.drawing import stream
from taskmark.suites.mini.pretraining.augmentation import augment
from taskmark.suites.mini.pretraining.captions import captions
from taskmark.suites.mini.pretraining.images import FACTORS
from taskmark.suites.mini.pretraining.images import block as draw_block
from taskmark.suites.mini.pretraining.scheme import Batch, Scheme
from taskmark.suites.mini.text_tower import UNKNOWN, VOCABULARY, TextTower, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmark.suites.mini.pretraining.images import Block


class Random(Scheme):
    """No training: the control."""

    name = "random"


class Supervised(Scheme):
    """Every factor of an image is read off its features by a linear classifier."""

    name = "supervised"
    n_steps = 4500
    decay_from = 0.0

    def add_parts(self) -> None:
        """One linear classifier a factor."""
        self.classifiers = nn.ModuleDict(
            {name: nn.Linear(self.size.width, n) for name, n in FACTORS.items()}
        )

    def labels(self, block: Block, number: int) -> Batch:
        """The factors."""
        del number
        return {name: torch.from_numpy(values) for name, values in block.factors.items()}

    def loss(self, images: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """Cross-entropy summed over the factors that an image has, averaged over images."""
        del generator
        features = self.encoder(self.stem(images))
        total = torch.zeros(())
        for name, classify in self.classifiers.items():
            total = total + cross_entropy(
                classify(features), batch[name], ignore_index=-1, reduction="sum"
            )
        return total / len(images)


class SupervisedLarge(Supervised):
    """The supervised scheme on the larger network: the same images, the same number of steps."""

    name = "supervised_large"


class Contrastive(Scheme):
    """Two views of the same things find each other among those of all others (NT-Xent).

    The views are drawn anew (other pose, shades, background, light), as two frames of a film would
    show them, and then cropped and recoloured. No label is used.

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, equation 1; pairs from two views of
    a scene: Tian et al. 2020, https://arxiv.org/abs/1906.05849.
    """

    name = "contrastive"
    n_steps = 3500
    view = 0
    temperature = 0.1

    def add_parts(self) -> None:
        """The projector."""
        width = self.size.width
        self.projector = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def labels(self, block: Block, number: int) -> Batch:
        """The second view of every image, uint8 [N, 3, 32, 32]."""
        again = draw_block(number, n_images=len(block.images), seed=self.seed, view=1)
        return {"again": torch.from_numpy(again.images).permute(0, 3, 1, 2).contiguous()}

    def loss(self, images: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """NT-Xent over two views."""
        views = torch.cat([augment(images, generator), augment(batch["again"], generator)])
        z = normalize(self.projector(self.encoder(self.stem(views))), dim=-1)  # [2B, D]
        similarity = z @ z.T / self.temperature
        similarity.fill_diagonal_(-torch.inf)
        n = len(images)
        partner = torch.arange(2 * n).roll(n)
        return cross_entropy(similarity, partner)


class Masked(Scheme):
    """Cells of 8 x 8 pixels are hidden, and the contrastive network's tokens read off the rest.

    The teacher sees the whole image and stays as it is. No label is used.

    Source: Fang et al. 2023, https://arxiv.org/abs/2211.07636 (hide, then regress the features of
    a trained network, compared by cosine).
    """

    name = "masked"
    n_steps = 5000
    starts_from = "contrastive"
    least_hidden, most_hidden = 0.25, 0.75

    def add_parts(self) -> None:
        """The reader of tokens, and a place for the teacher."""
        self.token_reader = nn.Linear(self.size.width, self.size.width)
        self.teacher_stem, self.teacher_encoder = build(0, self.size)
        for parameter in (*self.teacher_stem.parameters(), *self.teacher_encoder.parameters()):
            parameter.requires_grad_(False)

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the teacher's weights."""
        self.teacher_stem.load_state_dict(part_of(tensors, "stem."))
        self.teacher_encoder.load_state_dict(part_of(tensors, "encoder."))

    def loss(self, images: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """One minus the cosine between read and true tokens, averaged over hidden cells."""
        del batch
        n = len(images)
        with torch.no_grad():
            wanted = self.teacher_encoder.blocks(self.teacher_stem(images))
            wanted = normalize(layer_norm(wanted, wanted.shape[-1:]), dim=-1)  # [B, 16, D]
        span = self.most_hidden - self.least_hidden
        share = self.least_hidden + span * torch.rand(n, 1, generator=generator)
        hidden = (torch.rand(n, N_TOKENS, generator=generator) < share).float()
        cover = interpolate(hidden.view(n, 1, 4, 4), scale_factor=8)  # [B, 1, 32, 32]
        tokens = self.stem(images.float() * (1 - cover) + 127.5 * cover)
        read = self.token_reader(self.encoder.norm(self.encoder.blocks(tokens)))
        error = 1 - (normalize(read, dim=-1) * wanted).sum(-1)  # [B, 16]
        return (error * hidden).sum() / hidden.sum()


class ImageText(Scheme):
    """Images and captions find each other in a batch (InfoNCE), on top of the supervised network.

    Captions that read alike are all right answers. A second, smaller loss reads the caption's words
    off the features.

    Source: Radford et al. 2021, https://arxiv.org/abs/2103.00020, figure 3.
    """

    name = "image_text"
    n_steps = 4500
    starts_from = "supervised"
    digits = True
    stream_seed = 1
    words_weight = 5.0
    unknown_words = 0.04
    largest_scale = 4.0

    def add_parts(self) -> None:
        """Text tower, temperature and word reader."""
        self.text = TextTower()
        self.logit_scale = nn.Parameter(torch.tensor(2.6))
        self.word_reader = nn.Linear(self.size.width, len(VOCABULARY))

    def labels(self, block: Block, number: int) -> Batch:
        """Tokens of the captions."""
        rng = stream(self.stream_seed, number, 7)
        tokens = tokenize(captions(block, rng))
        lost = torch.from_numpy(rng.random(tokens.shape) < self.unknown_words) & (tokens > 0)
        return {"tokens": tokens.masked_fill(lost, VOCABULARY.index(UNKNOWN))}

    def loss(self, images: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """InfoNCE both ways plus word reading."""
        del generator
        tokens = batch["tokens"]
        features = self.encoder(self.stem(images))
        seen, said = normalize(features, dim=-1), normalize(self.text(tokens), dim=-1)
        logits = self.logit_scale.clamp(max=self.largest_scale).exp() * seen @ said.T  # [B, B]
        alike = (tokens[:, None, :] == tokens[None, :, :]).all(-1).float()
        target = alike / alike.sum(1, keepdim=True)
        matching = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
        words = torch.zeros(len(images), len(VOCABULARY)).scatter_(1, tokens, 1.0)
        reading = binary_cross_entropy_with_logits(self.word_reader(features), words)
        return matching + self.words_weight * reading

    def shipped_tensors(self) -> dict[str, Tensor]:
        """Stem and encoder, text tower and temperature."""
        tensors = super().shipped_tensors()
        for name, tensor in self.text.state_dict().items():
            tensors[f"text.{name}"] = tensor.detach().contiguous()
        tensors["logit_scale"] = self.logit_scale.detach().clamp(max=self.largest_scale)
        return tensors


SCHEMES: dict[str, Callable[[], Scheme]] = {
    scheme.name: scheme
    for scheme in (Random, Supervised, SupervisedLarge, ImageText, Contrastive, Masked)
}
"""In the order in which they have to be trained."""
