"""RegMean: each linear layer as the least-squares fit to what the experts' layers put out."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.spectra import gram_rounding_level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from taskmark import Given, WeightSpace


class NormalEquations:
    """The least-squares problem of one linear weight, gathered task by task.

    The merged W minimises sum_t ||X_t (W - W_t)^T||^2 where the rows of X_t are the inputs of the
    layer on task t. With the Gram matrix G_t = X_t^T X_t,

        W = (sum_t W_t G_t) (sum_t G_t)^-1

    (Jin et al. 2023, equation 2, for weights [d_out, d_in]). The entries of G_t off its diagonal
    are multiplied by alpha first. W may stand for the change of the weight too, since theta0
    contributes theta0 itself.

    Memory: [d_in, d_in] and [d_out, d_in] in float64; the W_t are not copied.
    """

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._left: Tensor | None = None  # sum_t G_t
        self._right: Tensor | None = None  # sum_t W_t G_t
        self._weights: list[Tensor] = []

    def add(self, weight: Tensor, gram: Tensor) -> None:
        """Add a task.

        Args:
            weight: W_t, or what the task changes of it, [d_out, d_in]; looked at again in the end.
            gram: G_t, [d_in, d_in], float64; kept and overwritten.
        """
        shrink(gram, self._alpha)
        product = weight.double() @ gram
        self._left = gram if self._left is None else self._left.add_(gram)
        self._right = product if self._right is None else self._right.add_(product)
        self._weights.append(weight)

    def solve(self) -> Tensor:
        """W, [d_out, d_in], float64; of several minimisers the one nearest to the average.

        There are several where inputs depend on each other, as far as float32 can tell: dividing by
        what rounding left of a direction would blow up what the experts differ by. What was added
        is used up.
        """
        left, right = self._left, self._right
        if left is None or right is None:
            raise ValueError("nothing was added")
        self._left = self._right = None
        total = torch.zeros_like(right)
        for weight in self._weights:
            total += weight
        mean = total.div_(len(self._weights))
        right -= mean @ left  # of the difference from the average
        # An input that is always zero leaves its column open: there the average stays.
        level = gram_rounding_level(left)
        diagonal = left.diagonal()
        diagonal += diagonal == 0
        factor, failed = torch.linalg.cholesky_ex(left)
        if failed or _least_pivot(factor, left) <= torch.finfo(torch.float32).eps ** 2 * len(left):
            inverse = torch.linalg.pinv(left, atol=level, rtol=0.0, hermitian=True)
            found: Tensor = right @ inverse
        else:
            found = torch.cholesky_solve(right.T, factor).T
        return mean + found


class LinearWeights:
    """The least-squares problems of linear weights by name, each begun by the first task it gets.

    Memory: that of `NormalEquations` for each weight, until it is solved.
    """

    def __init__(self, space: WeightSpace, alpha: float) -> None:
        self._parts = {part.name: part for part in space}
        self._alpha = alpha
        self._equations: dict[str, NormalEquations] = {}

    def add(self, vector: Tensor, grams: dict[str, Tensor]) -> None:
        """Add a task.

        Args:
            vector: tau_t, [P]; looked at again in the end.
            grams: Gram matrices by the name of the weight; used up.
        """
        for name in list(grams):
            part = self._parts[name]
            own = self._equations.setdefault(name, NormalEquations(self._alpha))
            own.add(vector[part.slice].view(part.shape), grams.pop(name))

    def solve_into(self, merged: Tensor) -> None:
        """Write the solutions to their parts of a vector [P]; the problems are used up."""
        for name in list(self._equations):
            part = self._parts[name]
            merged[part.slice].view(part.shape).copy_(self._equations.pop(name).solve())


def _least_pivot(factor: Tensor, gram: Tensor) -> float:
    """The least share of an input's energy that the inputs before it leave unexplained."""
    return float((factor.diagonal().square() / gram.diagonal()).min())


def shrink(gram: Tensor, alpha: float) -> None:
    """Multiply all but the diagonal of a matrix [d, d] by alpha, in place."""
    rest = (1 - alpha) * gram.diagonal()
    gram *= alpha
    gram.diagonal().add_(rest)


def samples(given: Given, n_images: int) -> dict[str, Tensor]:
    """Train images of each task, drawn without replacement in the order of the tasks' names.

    Returns:
        Task -> inputs [n, ...], where n is `n_images`, or all there are.
    """
    found = {}
    for task in sorted(given.tasks):
        inputs = given.images(task, "train")
        order = torch.randperm(len(inputs), generator=given.generator)
        found[task] = inputs[order[:n_images]]
    return found


class RegMean(Method):
    """Merge each linear layer by regression on its own inputs, and average the rest.

    Jin et al., ICLR 2023: W = (sum_t W_t G_t) (sum_t G_t)^-1 with the Gram matrix G_t = X_t^T X_t,
    where X_t are the inputs that the layer has inside expert t on images of task t.

    Conventions:

    - X_t has a row for each image and token; G_t is their sum, as in the paper. (The authors' code
      takes the mean over rows. The two agree where all tasks have as many images, as here unless a
      task has fewer than `n_images`: then that task counts for less here, in proportion.)
    - Images are drawn from the train split, without labels.
    - Weights of `nn.Linear` are merged so; biases, norms, convolutions, embeddings and fused
      projections are averaged.
    - The average stays where no input ever arrives (a zero on the diagonal of sum_t G_t), and
      where alpha = 1 leaves several minimisers, the nearest to it is taken.

    Attributes:
        n_images: of each task, or all that there are.
        alpha: what entries off the diagonals of G_t are multiplied by. The paper shrinks them too,
            by a factor that it chooses by the model; 0.95 is what is in use for image encoders.
    """

    name = "regmean"
    paper = "https://arxiv.org/abs/2212.09849"
    bibtex = """@inproceedings{jin2023dataless,
  title = {Dataless knowledge fusion by merging weights of language models},
  author = {Jin, Xisen and Ren, Xiang and Preo{\\c{t}}iuc-Pietro, Daniel and Cheng, Pengxiang},
  booktitle = {International Conference on Learning Representations},
  year = {2023}
}"""
    track = "unlabelled"
    scale_range = None
    keeps_direction = True

    n_images: int = Field(default=256, ge=1)
    alpha: float = Field(default=0.95, ge=0, le=1)

    def merge(self, given: Given) -> Tensor:
        """Return the merged task vector, [P].

        Memory: for each linear weight two [d_in, d_in] and one [d_out, d_in] in float64, one vector
        [P], and the activations of a batch without a gradient.
        """
        weights = LinearWeights(given.space, self.alpha)
        vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
        for task, images in samples(given, self.n_images).items():
            weights.add(vectors[task], given.gram_matrices(vectors[task], images))
        merged = given.task_vectors.mean(0)
        weights.solve_into(merged)
        return merged


class RegMeanPlus(Method):
    """Merge each linear layer by regression on inputs that passed through merged blocks.

    Nguyen et al., 2025 (RegMean++): `regmean`, but the inputs of a block are those that the merged
    blocks before it put out, so that errors of earlier blocks are seen. Inside a block, inputs of
    its layers are still those of expert t.

    Conventions, beside those of `regmean`:

    - A block is what has the same name up to the first number in it ("blocks.0"); a layer without a
      number in its name is a block of its own. Blocks are merged in the order in which they run.
    - What belongs to a block without a linear layer (embeddings, the last norm) is averaged before
      all else; biases and norms of a block are averaged and count as merged with it. (The authors'
      code leaves what follows the last block at theta0: the last norm and the projection, which is
      merged by regression here; in CLIP's ViT-B/32 they are 0.45 % of the weights.)
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
        blocks = _group(list(given.gram_matrices(merged, first)))  # in the order they run in
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


def _group(names: Iterable[str]) -> dict[str, list[str]]:
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
