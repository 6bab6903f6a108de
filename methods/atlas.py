"""aTLAS: task vectors with learned coefficients, one a parameter tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from taskmark import Method
from taskmark.methods.coefficient_learning import Training
from taskmark.methods.coefficients import Granularity
from taskmark.methods.difference_vectors import learn_composition
from taskmark.methods.task_loss import TaskLoss

if TYPE_CHECKING:
    from torch import Tensor

    from taskmark import Given


class Atlas(Method):
    """Learn a coefficient for every task and parameter tensor on labelled validation images.

    Zhang et al., NeurIPS 2024: theta = theta0 + sum_t c[t, i] tau_t in parameter tensor i. c starts
    at zero and minimises the sum over tasks of the cross-entropy by AdamW, within the suite's
    budget of gradient images. 80 % of each task's validation images are learned on; the rest tell
    after every epoch which coefficients to keep.

    Conventions: an epoch is a pass over the task with the most images, while those of the others
    come again, and gradients are not clipped unless `clip_norm` says so. (The authors' code ends an
    epoch with the smallest task, so that its 20 epochs are some 480 steps on the eight usual tasks;
    it takes 128 images a step, clips the norm of the gradient at 1, and keeps the epoch of the
    highest normalised accuracy on the images that it learns on.)

    With K partitions ("aTLAS x K"), the entries of each tensor are cut into K random parts of equal
    size, each with a coefficient of its own for every task. All tensors are cut, biases and norms
    too. (The authors' code draws the part of each entry by itself, so that the sizes of parts
    differ by about the root of n / K, gives tensors of one shape the same parts, and leaves tensors
    that are no matrices without any effect there.)

    Attributes:
        granularity: one coefficient for each task and tensor (anisotropic), or for each task.
        partitions: K; drawn from the method's generator, the same for all tasks.
        learning_rate: of AdamW, constant.
        weight_decay: of AdamW.
        epochs: at most so many, within the budget.
        batch_size: images of all tasks together in a step.
        clip_norm: the longest that the gradient of all coefficients may be; the authors' is 1.
    """

    name = "atlas"
    paper = "https://arxiv.org/abs/2407.02880"
    bibtex = """@inproceedings{zhang2024knowledge,
  title = {Knowledge composition using task vectors with learned anisotropic scaling},
  author = {Zhang, Frederic Z. and Albert, Paul and Rodriguez-Opazo, Cristian and
            van den Hengel, Anton and Abbasnejad, Ehsan},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2024}
}"""
    track = "labelled"
    scale_range = None
    added_fields = ("clip_norm",)

    granularity: Granularity = "tensor"
    partitions: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=64, ge=1)
    clip_norm: float | None = Field(default=None, gt=0)

    def merge(self, given: Given) -> Tensor:
        """Return sum_t c[t, i] tau_t, [P].

        Memory: two more vectors [P], see `descent`, and with K > 1 two more for the indices of
        all entries and the largest group once for each task.
        """
        training = Training(
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            epochs=self.epochs,
            patience=self.epochs,
            budget=given.gradient_images_left,
            clip_norm=self.clip_norm,
        )
        loss = TaskLoss(given, labelled=True)
        return learn_composition(
            given,
            loss,
            granularity=self.granularity,
            training=training,
            partitions=self.partitions,
        ).vector
