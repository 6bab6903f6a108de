"""RegMean: each linear layer as the least-squares fit to what the experts' layers put out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from taskmark import Method
from taskmark.methods.regression import LinearWeights, samples

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class RegMean(Method):
    """Merge each linear layer by regression on its own inputs, and average the rest.

    Jin et al., ICLR 2023: W = (sum_t W_t G_t) (sum_t G_t)^-1 with the Gram matrix G_t = X_t^T X_t,
    where X_t are the inputs that the layer has inside expert t on images of task t.

    Conventions:

    - X_t has a row for each image and token; G_t is their sum, not their mean, as in the paper.
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
