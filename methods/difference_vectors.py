"""What the DV-BASI methods share: the loop over difference vectors, and the learned start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import BaseModel, Field

from taskmark import Edit
from taskmark.methods.coefficient_learning import Learnt, Training, learn
from taskmark.methods.coefficients import Granularity, groups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from taskmark import Given
    from taskmark.methods.task_loss import TaskLoss


class Loop(BaseModel):
    """Hyper-parameters of the refinement of a vector along its own difference vectors.

    Attributes:
        granularity: one coefficient a parameter tensor, or one for the whole vector.
        batch_size: images of all tasks together in a step.
        iterations: M, the number of difference vectors; the budget is divided among them.
        initial_scale: where each Lambda starts.
        learning_rate: of AdamW, on Lambda.
        weight_decay: likewise, towards Lambda = 0.
        epochs: at most so many passes over the validation images in an iteration.
        patience: an iteration ends after so many epochs without a gain on the images held out.
        clip_norm: the longest that a gradient of all coefficients may be, of Lambda and of the
            start alike; the authors' code has 1.
    """

    added_fields: ClassVar[tuple[str, ...]] = ("clip_norm",)

    granularity: Granularity = "tensor"
    batch_size: int = Field(default=64, ge=1)
    iterations: int = Field(default=4, ge=1)
    initial_scale: float = Field(default=0.1, ge=0)
    learning_rate: float = Field(default=0.01, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    epochs: int = Field(default=60, ge=1)
    patience: int = Field(default=5, ge=1)
    clip_norm: float | None = Field(default=None, gt=0)

    def iterates(
        self,
        given: Given,
        loss: TaskLoss,
        delta: Tensor,
        *,
        budget: int | None = None,
        anew: bool = False,
    ) -> Iterator[Learnt]:
        """Follow difference vectors: delta_m = delta_{m-1} + Lambda_m delta_{m-1}, m = 1 .. M.

        In weights, theta_m = theta_{m-1} + Lambda_m (theta_{m-1} - theta_pre), with one Lambda_m
        for each tensor, which is all that is learned in iteration m.

        Args:
            given: for its layout, and for what is left of its budget.
            loss: what Lambda_m minimises.
            delta: delta_0, [P].
            budget: gradient images to spend; all that are left where not said.
            anew: whether iteration m linearises the model at theta_{m-1}.

        Yields:
            M results, with the coefficients Lambda_m [1, G] and the vectors delta_m.
        """
        slices = groups(given.space, self.granularity)
        reserved = 0 if budget is None else given.gradient_images_left - budget
        for done in range(self.iterations):
            training = Training(
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                batch_size=self.batch_size,
                epochs=self.epochs,
                patience=self.patience,
                budget=(given.gradient_images_left - reserved) // (self.iterations - done),
                clip_norm=self.clip_norm,
            )
            scale = torch.full((1, len(slices)), self.initial_scale, device=delta.device)
            own = loss.at(delta) if anew else loss
            result = learn(own, scale, delta[None], slices, base=delta, training=training)
            if anew:
                result = replace(result, linearised_at=delta)
            delta = result.vector
            yield result


class Refinement(Loop):
    """Hyper-parameters of a learned start that is refined along its own difference vectors.

    What the start leaves of the budget is divided among the iterations.

    Attributes:
        start_share: share of the granted gradient images that the start may spend.
        start_learning_rate: of AdamW, on the coefficients of the start.
        start_weight_decay: likewise.
        start_epochs: at most so many passes over the validation images.
        linearise: where a recipe that reads the linearised model takes it: at theta_pre throughout,
            or, "each_iteration", anew at theta_{m-1} for iteration m, as the authors' code does.
    """

    added_fields: ClassVar[tuple[str, ...]] = (*Loop.added_fields, "linearise")

    start_share: float = Field(default=0.5, gt=0, lt=1)
    start_learning_rate: float = Field(default=1e-3, gt=0)
    start_weight_decay: float = Field(default=0.1, ge=0)
    start_epochs: int = Field(default=20, ge=1)
    linearise: Literal["pretrained", "each_iteration"] = "pretrained"

    def refine(self, given: Given, loss: TaskLoss) -> Edit:
        """Start, follow the difference vectors, and keep what is best on the images held out.

        Returns:
            The best of delta_0 .. delta_M, [P], and where the model is linearised.
        """
        anew = self.linearise == "each_iteration"
        best = result = self.start(given, loss)
        for result in self.iterates(given, loss, result.vector, anew=anew):  # noqa: B020 - lets the start go
            if result.held_out_loss < best.held_out_loss:
                best = result
        return Edit(best.vector, linearised_at=best.linearised_at)

    def start(self, given: Given, loss: TaskLoss) -> Learnt:
        """The first merged vector, delta_0, by aTLAS within its share of the budget."""
        training = Training(
            learning_rate=self.start_learning_rate,
            weight_decay=self.start_weight_decay,
            batch_size=self.batch_size,
            epochs=self.start_epochs,
            patience=self.start_epochs,
            budget=int(self.start_share * given.gradient_images_left),
            clip_norm=self.clip_norm,
        )
        return learn_composition(given, loss, granularity=self.granularity, training=training)


def learn_composition(
    given: Given,
    loss: TaskLoss,
    *,
    granularity: Granularity,
    training: Training,
    partitions: int = 1,
) -> Learnt:
    """aTLAS: learn the coefficients c[t, i] of sum_t c[t, i] tau_t, tensor by tensor, from zero.

    Returns:
        The coefficients [T, G] and the vector [P] with the lowest loss on the images held out.
    """
    slices = groups(given.space, granularity, partitions=partitions, generator=given.generator)
    vectors = given.task_vectors
    start = torch.zeros(len(vectors), len(slices), device=vectors.device)
    return learn(loss, start, vectors, slices, base=0, training=training)
