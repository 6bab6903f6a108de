"""RegMean++: regression block by block, each on what the merged blocks before it put out."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pydantic import Field

from taskmark import Method
from taskmark.methods.regression import LinearWeights, samples

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from taskmark import Given, WeightSpace


class RegMeanPlus(Method):
    """Merge each linear layer by regression on inputs that passed through merged blocks.

    Nguyen et al., 2025 (RegMean++): `regmean`, but the inputs of a block are those that the merged
    blocks before it put out, so that errors of earlier blocks are seen. Inside a block, inputs of
    its layers are still those of expert t.

    Conventions, beside those of `regmean`:

    - A block is what has the same name up to the first number in it ("blocks.0"); a layer without a
      number in its name is a block of its own. Blocks are merged in the order in which they run.
    - What belongs to a block without a linear layer (embeddings, the last norm) is averaged before
      all else; biases and norms of a block are averaged and count as merged with it.
    - Each block costs a forward pass of all images through the whole model, since a method sees no
      more than whole passes: T x n_images x (number of blocks) forward images.

    Attributes:
        n_images: of each task, or all that there are.
        alpha: what entries off the diagonals of G_t are multiplied by.
    """

    name = "regmean_plus"
    paper = "https://arxiv.org/abs/2508.03121"
    bibtex = """@article{nguyen2025regmean,
  title = {{RegMean}++: enhancing effectiveness and generalization of regression mean for model
           merging},
  author = {Nguyen, The-Hai and Huu-Tien, Dang and Suzuki, Takeshi and Nguyen, Le-Minh},
  journal = {arXiv preprint arXiv:2508.03121},
  year = {2025}
}"""
    track = "unlabelled"
    scale_range = None
    keeps_direction = True

    n_images: int = Field(default=256, ge=1)
    alpha: float = Field(default=0.95, ge=0, le=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [P].

        Memory: two vectors [P], the activations of a batch without a gradient, and for each linear
        weight of one block two [d_in, d_in] and one [d_out, d_in] in float64. The first look at the
        layers, for their order, takes a vector [P] and one [d_in, d_in] for each of all linear
        weights in float64.
        """
        images = samples(given, self.n_images)
        vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
        merged = given.task_vectors.mean(0)
        first = next(iter(images.values()))[:1]
        blocks = _grouped(list(given.gram_matrices(merged, first)))  # in the order they run in
        waiting = {block: _slices_of(block, given.space) for block in blocks}
        for block, names in blocks.items():
            weights = LinearWeights(given.space, self.alpha)
            for task, inputs in images.items():
                # Blocks that still wait are the expert's; the others are merged.
                mixed = merged.clone()
                for entries in chain.from_iterable(waiting.values()):
                    mixed[entries] = vectors[task][entries]
                weights.add(vectors[task], given.gram_matrices(mixed, inputs, names))
            weights.solve_into(merged)
            del waiting[block]
        return merged


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of weights by block, in their order."""
    blocks: dict[str, list[str]] = {}
    for name in names:
        blocks.setdefault(block_of(name), []).append(name)
    return blocks


def block_of(name: str) -> str:
    """The block that a part belongs to: "blocks.0" of "blocks.0.mlp.weight"."""
    words = name.split(".")
    for place, word in enumerate(words):
        if word.isdecimal():
            return ".".join(words[: place + 1])
    return ".".join(words[:-1])


def _slices_of(block: str, space: WeightSpace) -> list[slice]:
    return [part.slice for part in space if block_of(part.name) == block]
