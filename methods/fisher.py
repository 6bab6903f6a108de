"""Fisher merging: an average in which each weight counts as much as it matters to each expert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from taskmark import Method
from taskmark.methods.regmean import samples

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class Fisher(Method):
    """Average the experts, each weight by its Fisher information.

    Matena and Raffel, NeurIPS 2022: theta = sum_t F_t theta_t / sum_t F_t, entry by entry, where
    F_t is the diagonal of the Fisher information of expert t,

        F_t = E_x E_{y ~ p_t(y | x)} (d log p_t(y | x) / d theta)^2 .

    Conventions:

    - The inner expectation is over the expert's own predictions, as in the paper, not over labels
      (which would give the "empirical" Fisher). So no label is needed and the track is
      "unlabelled".
    - One class is drawn for each image, and gradients are squared image by image. (Code that
      squares the gradient of a whole batch computes something else.)
    - Entries of every F_t below the floor are raised to it, so that a weight that matters to nobody
      is averaged. F_t is not normalised: a task whose gradients are larger counts for more.
      (The authors' code divides each F_t by its norm, and puts the floor on the first model alone.
      Where the norms differ, the cosine between the two results is .84 on an example.)
    - Images are drawn from the train split. Where the suite's budget of gradient images is short,
      each task has an equal share of it; with none, the result is the average.

    Attributes:
        n_images: of each task, or all that there are.
        floor: the least that an entry of F_t can be.
    """

    name = "fisher"
    paper = "https://arxiv.org/abs/2111.09832"
    bibtex = """@inproceedings{matena2022merging,
  title = {Merging models with {Fisher}-weighted averaging},
  author = {Matena, Michael S. and Raffel, Colin A.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2022}
}"""
    track = "unlabelled"
    scale_range = None
    keeps_direction = True

    n_images: int = Field(default=256, ge=1)
    floor: float = Field(default=1e-6, gt=0)

    def merge(self, given: Given) -> Tensor:
        """Return sum_t F_t tau_t / sum_t F_t, [P].

        Memory: four more vectors [P]: the sum of all F_t, one F_t, the weights that run and
        their gradient; and the activations of one image.
        """
        share = given.gradient_images_left // len(given.tasks)
        images = samples(given, min(self.n_images, share))
        total = torch.zeros_like(given.pretrained)  # sum_t F_t
        merged = torch.zeros_like(given.pretrained)
        vectors = dict(zip(given.tasks, given.task_vectors, strict=True))
        for task, inputs in images.items():
            information = fisher(given, vectors[task], task, inputs).clamp_(min=self.floor)
            total += information
            merged += information.mul_(vectors[task])
            del information  # before there is another one
        return merged.div_(total)


def fisher(given: Given, vector: Tensor, task: str, inputs: Tensor) -> Tensor:
    """The diagonal of the Fisher information of theta0 + vector on a task.

    Args:
        given: runs the model, and draws one class an image.
        vector: [P].
        task: whose head is used.
        inputs: [N, ...]; each is passed backward alone, since squares of gradients do not add up
            over a batch.

    Returns:
        The mean over images of the squared gradient of log p(y | x), [P]; zero without images.
    """
    found = torch.zeros_like(vector)
    for place in range(len(inputs)):
        leaf = vector.detach().requires_grad_()
        features = given.features(leaf, inputs[place : place + 1])
        log_p = given.heads[task].to(features.device).logits(features).log_softmax(-1)[0]  # [C]
        drawn = torch.multinomial(log_p.detach().cpu().exp(), 1, generator=given.generator)
        (gradient,) = torch.autograd.grad(log_p[int(drawn)], leaf)
        found.addcmul_(gradient, gradient, value=1 / len(inputs))
        del gradient, leaf  # or they are still there in the next pass
    return found
